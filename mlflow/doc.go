// Package mlflow carries experiments, runs and models over from MLflow and
// back: [Import] reads an MLflow server, its SQLite database or the folder of
// its file store, without Python; [Export] writes to a running MLflow server.
// Both can be called again, after a failure or later, and go on with what is
// missing.
package mlflow
