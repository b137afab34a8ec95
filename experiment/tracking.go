package experiment

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/mlflow"
	"github.com/azml-go/azml/internal/record"
)

// track serves the MLflow clients of a script on a port of this machine. The
// token that lets them in is random and of this run alone. It stands in the
// script's environment, which the same user's processes can read, and nowhere
// else; it ends with the serving.
func (e *Experiment) track(run record.Run) (*agent.Tracking, error) {
	var listening net.ListenConfig
	listener, err := listening.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	handler := mlflow.NewForRun(e.h, run)
	token := rand.Text()
	server := &http.Server{Handler: admit(token, handler), ReadHeaderTimeout: headerTime, ErrorLog: slog.NewLogLogger(e.h.Logger().Handler(), slog.LevelDebug)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	name := e.stored.Value.Title
	if name == "" {
		name = e.Name()
	}
	return &agent.Tracking{
		Variables: map[string]string{
			"MLFLOW_TRACKING_URI":    "http://" + listener.Addr().String(),
			"MLFLOW_TRACKING_TOKEN":  token,
			"MLFLOW_RUN_ID":          run.ID,
			"MLFLOW_EXPERIMENT_ID":   run.Experiment,
			"MLFLOW_EXPERIMENT_NAME": name,
		},
		Stop: func() {
			stop(server)
			<-served
		},
		Finish: handler.Finish,
	}, nil
}

const (
	// headerTime bounds how long a client may take for the head of a request.
	headerTime = 10 * time.Second
	// stopTime is what requests that are under way when the script has ended
	// have to end.
	stopTime = 5 * time.Second
)

// stop lets the requests end that came in before the script's end.
func stop(server *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if server.Shutdown(ctx) != nil {
		_ = server.Close() // the connections are cut in any case
	}
}

// admit lets those in who have the token.
func admit(token string, handler http.Handler) http.Handler {
	want := sha256.Sum256([]byte(token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		// Digests have one length, so that the time of comparing tells nothing.
		if got := sha256.Sum256([]byte(given)); subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			mlflow.Refuse(w, http.StatusUnauthorized, "UNAUTHENTICATED", "Give the token that the script of the run finds in MLFLOW_TRACKING_TOKEN")
			return
		}
		handler.ServeHTTP(w, r)
	})
}
