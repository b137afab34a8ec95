package scoring

import (
	"io"
	"net/http"
)

// invocationsPath is where MLflow's protocol scores.
const invocationsPath = "/invocations"

// mlflow answers MLflow's protocol beside /invocations: probes, to everybody, and
// the version of MLflow that serves the model. Other deployments don't have it.
func (s *Server) mlflow(w *recorder, r *http.Request, name, path string) {
	d, ok := s.pick(w, name)
	if !ok {
		return
	}
	if d.traits.MLflow == "" {
		notFound(w)
		return
	}
	if !allowMethods(w, r, http.MethodGet) {
		return
	}
	text := "\n"
	if path == "/version" {
		if !s.authorized(w, r) {
			return
		}
		text = d.traits.MLflow
	} else if d.Available() != nil {
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusServiceUnavailable, "No replica of the service is ready.")
		return
	}
	w.Header()["Content-Type"] = jsonType // as MLflow has it
	_, _ = io.WriteString(w, text)        // a client that is gone needs no answer
}

func notFound(w http.ResponseWriter) {
	refuse(w, http.StatusNotFound, "The requested URL was not found on the server. If you entered the URL manually please check your spelling and try again.")
}
