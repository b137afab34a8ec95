package experiment

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"maps"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/guard"
	"github.com/azml-go/azml/internal/mlflow"
	"github.com/azml-go/azml/internal/record"
)

// track serves a script on a port of this machine. The token that lets it in is
// random and of this run alone. It stands in the script's environment, which the
// same user's processes can read, and nowhere else; it ends with the serving.
func (e *Experiment) track(run record.Run, what agent.Serving) (*agent.Tracking, error) {
	var listening net.ListenConfig
	listener, err := listening.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	token, address := rand.Text(), "http://"+listener.Addr().String()
	tracking := &agent.Tracking{Variables: map[string]string{}, Finish: nothingToFinish}
	rest := http.NotFoundHandler()
	if what.MLflow {
		handler := mlflow.NewForRun(e.h, run, what.Hidden)
		rest, tracking.Finish, tracking.Measuring = handler, handler.Finish, handler.Measuring
		maps.Copy(tracking.Variables, e.trackingVariables(run, address, token))
	}
	if len(what.Secrets) > 0 {
		rest = giveSecrets(what.Secrets, rest)
		maps.Copy(tracking.Variables, map[string]string{"AZML_SECRETS_URL": address + secretsPath, "AZML_SECRETS_TOKEN": token})
	}
	limits := guard.DefaultLimits()
	server := limits.Server(limits.Handler(admit(token, rest)), e.h.Logger())
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(limits.Listener(listener)) // until it is stopped, and says so
	}()
	tracking.Stop = func() {
		stop(server)
		<-served
	}
	return tracking, nil
}

// nothingToFinish is for a script whose MLflow clients are not served.
func nothingToFinish(context.Context) (map[string]uint64, []string, error) { return nil, nil, nil }

// trackingVariables lead MLflow's clients to the run. These prefer a user and a
// password to the token, and find those for another server in a file of the
// user's; what the environment has comes first.
func (e *Experiment) trackingVariables(run record.Run, address, token string) map[string]string {
	name := e.stored.Value.Title
	if name == "" {
		name = e.Name()
	}
	return map[string]string{
		"MLFLOW_TRACKING_URI":      address,
		"MLFLOW_TRACKING_TOKEN":    token,
		"MLFLOW_TRACKING_USERNAME": "azml",
		"MLFLOW_TRACKING_PASSWORD": token,
		"MLFLOW_RUN_ID":            run.ID,
		"MLFLOW_EXPERIMENT_ID":     run.Experiment,
		"MLFLOW_EXPERIMENT_NAME":   name,
	}
}

// stopTime is what requests that are under way when the script has ended have to
// end.
const stopTime = 5 * time.Second

// stop lets the requests end that came in before the script's end.
func stop(server *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if server.Shutdown(ctx) != nil {
		_ = server.Close() // the connections are cut in any case
	}
}

// admit lets those in who have the token, as it is or as the password of anybody.
func admit(token string, handler http.Handler) http.Handler {
	want := sha256.Sum256([]byte(token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if _, password, ok := r.BasicAuth(); ok {
			given = password
		}
		// Digests have one length, so that the time of comparing tells nothing.
		if got := sha256.Sum256([]byte(given)); subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			mlflow.Refuse(w, http.StatusUnauthorized, "UNAUTHENTICATED", "Give the token that the script of the run finds in MLFLOW_TRACKING_TOKEN, or AZML_SECRETS_TOKEN")
			return
		}
		handler.ServeHTTP(w, r)
	})
}
