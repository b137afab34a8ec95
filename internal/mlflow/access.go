package mlflow

import (
	"net/http"
	"strings"
)

// Access is what a request does to the workspace.
type Access int

const (
	// Read changes nothing. The experiment that is there from the beginning may
	// come into being by it.
	Read Access = iota + 1
	// Write adds and changes.
	Write
	// Delete takes away what others may rely on: experiments, runs, models and
	// their files. Tags and aliases are not meant.
	Delete
)

// accessOf tells what the route does: by the words that MLflow's interface uses
// throughout. What is not known as a reading route is none, and not known as
// harmless is a deleting DELETE.
func accessOf(method, path string) Access {
	last := path[strings.LastIndexByte(path, '/')+1:]
	switch {
	case isRead(method):
		return Read
	case method == http.MethodPost && (last == "search" || last == "get-latest-versions"):
		return Read
	case last == "delete":
		return Delete
	case method == http.MethodDelete && last != "delete-tag" && last != "alias" && !strings.Contains(path, "/tags/"):
		return Delete
	}
	return Write
}
