package mlflow

import "net/http"

// Version is the version of MLflow whose interface is served.
const Version = "3.18.0"

func infoRoutes() []route { return []route{{"GET", "/mlflow/server-info", serverInfo}} }

// welcome is for who looks for pages.
const welcome = "This is a server of azml for MLflow clients. It has no pages: set MLFLOW_TRACKING_URI to this address.\n"

func plainRoutes() []route {
	return []route{
		{"GET", "/", text(welcome)},
		{"HEAD", "/", text(welcome)},
		{"GET", "/health", text("OK")},
		{"HEAD", "/health", text("OK")},
		{"GET", "/version", text(Version)},
		{"GET", "/get-artifact", call.getArtifact},
		{"GET", "/model-versions/get-artifact", call.getVersionArtifact},
	}
}

// serverInfo tells clients what they may use.
func serverInfo(_ call, w http.ResponseWriter, _ *http.Request, _ []string) error {
	return writeJSON(w, map[string]any{
		"store_type": nil, "workspaces_enabled": false, "artifact_serving_enabled": true,
		"multipart_uploads_enabled": false, "multipart_downloads_enabled": false, "trace_archival_enabled": false,
	})
}
