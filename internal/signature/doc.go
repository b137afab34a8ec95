// Package signature reads what a model says of its inputs and outputs, and holds
// requests and answers against it. The types and the JSON form are MLflow's
// (mlflow.types.schema); columns of nested types are not checked.
package signature
