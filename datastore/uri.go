package datastore

import (
	"fmt"
	"strings"

	"github.com/azml-go/azml"
)

// URI names a file or a folder of a datastore. Azure ML has a short form and a
// long one, which also names the workspace:
//
//	azureml://datastores/<name>/paths/<path>
//	azureml://subscriptions/<s>/resourcegroups/<g>/workspaces/<w>/datastores/<name>/paths/<path>
//
// Paths stand in it as they are, without escapes.
type URI struct {
	// Subscription, ResourceGroup and Workspace are those of the long form:
	// all three or none.
	Subscription, ResourceGroup, Workspace string
	// Datastore is the datastore's name.
	Datastore string
	// Path is the path in it, which may be empty or end in "/".
	Path string
}

const uriScheme = "azureml://"

// IsURI tells whether text is meant as such a URI.
func IsURI(text string) bool {
	return len(text) >= len(uriScheme) && strings.EqualFold(text[:len(uriScheme)], uriScheme)
}

// ParseURI reads both forms. Errors: ErrInvalid.
func ParseURI(text string) (URI, error) {
	bad := fmt.Errorf("%w: %.200q: use azureml://datastores/<name>/paths/<path>", azml.ErrInvalid, text)
	if !IsURI(text) {
		return URI{}, bad
	}
	var u URI
	rest := text[len(uriScheme):]
	long := []struct {
		word  string
		value *string
	}{{"subscriptions", &u.Subscription}, {"resourcegroups", &u.ResourceGroup}, {"workspaces", &u.Workspace}}
	if word, _, _ := strings.Cut(rest, "/"); strings.EqualFold(word, long[0].word) {
		for _, part := range long {
			var ok bool
			if *part.value, rest, ok = member(rest, part.word); !ok {
				return URI{}, bad
			}
		}
	}
	name, rest, ok := member(rest, "datastores")
	if !ok {
		return URI{}, bad
	}
	u.Datastore = name
	if rest == "" {
		return u, nil
	}
	word, path, _ := strings.Cut(rest, "/")
	if !strings.EqualFold(word, "paths") {
		return URI{}, bad
	}
	u.Path = path
	return u, nil
}

// member cuts "<word>/<value>" and the "/" behind it off.
func member(text, word string) (value, rest string, ok bool) {
	got, rest, ok := strings.Cut(text, "/")
	if !ok || !strings.EqualFold(got, word) {
		return "", "", false
	}
	value, rest, _ = strings.Cut(rest, "/")
	return value, rest, value != ""
}

// String gives the long form when the workspace is named, else the short one.
func (u URI) String() string {
	start := uriScheme
	if u.Workspace != "" {
		start += "subscriptions/" + u.Subscription + "/resourcegroups/" + u.ResourceGroup + "/workspaces/" + u.Workspace + "/"
	}
	return start + "datastores/" + u.Datastore + "/paths/" + u.Path
}
