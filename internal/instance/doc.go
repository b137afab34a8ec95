// Package instance is what runs on a compute instance: it starts Jupyter, and
// beside it a server for MLflow clients where there is a workspace, watches both,
// and ends when nobody has used the instance for a time.
//
// It is the first program of a container. What it is to do comes through its
// standard input, as a token is in it. How it is it says in the file "status" of a
// folder that the container's maker sees.
package instance
