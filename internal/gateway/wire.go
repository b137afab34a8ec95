package gateway

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// base is the path of this version of the protocol.
const base = "/azml/gateway/1/"

// The headers that describe an object whose bytes are the body.
const (
	sizeHeader     = "Azml-Size"
	modifiedHeader = "Azml-Modified"
	createdHeader  = "Azml-Created" // of datastores that keep it
)

// wireInfo is backend.Info as JSON. A line of a list that is none of these ends
// the list: with an error, or as complete.
type wireInfo struct {
	Key      string       `json:"key,omitempty"`
	Size     int64        `json:"size,omitempty"`
	ETag     backend.ETag `json:"etag,omitempty"`
	Modified time.Time    `json:"modified,omitzero"`
	Created  time.Time    `json:"created,omitzero"`
	IsPrefix bool         `json:"isPrefix,omitempty"`
	Error    *wireError   `json:"error,omitempty"`
	End      bool         `json:"end,omitempty"`
}

func toWire(i backend.Info) wireInfo {
	return wireInfo{Key: i.Key, Size: i.Size, ETag: i.ETag, Modified: i.Modified, Created: i.Created, IsPrefix: i.IsPrefix}
}

func (i wireInfo) info() backend.Info {
	return backend.Info{Key: i.Key, Size: i.Size, ETag: i.ETag, Modified: i.Modified, Created: i.Created, IsPrefix: i.IsPrefix}
}

// wireError is an error as JSON: its class, by its text, and all of its text.
type wireError struct {
	Class string `json:"class"`
	Text  string `json:"text"`
}

// Error implements error.
func (e *wireError) Error() string { return e.Text }

// Unwrap gives the class.
func (e *wireError) Unwrap() error {
	for _, class := range azml.Classes() {
		if class.Error() == e.Class {
			return class
		}
	}
	return azml.ErrFailed
}

// statuses are the HTTP statuses of the classes; what is not here is a 500. They
// are for people who look at the traffic: the client goes by the class.
var statuses = map[error]int{
	azml.ErrNotFound:    http.StatusNotFound,
	azml.ErrExists:      http.StatusConflict,
	azml.ErrConflict:    http.StatusPreconditionFailed,
	azml.ErrInvalid:     http.StatusBadRequest,
	azml.ErrDenied:      http.StatusForbidden,
	azml.ErrUnavailable: http.StatusServiceUnavailable,
	azml.ErrUnsupported: http.StatusNotImplemented,
}

func toWireError(err error) (*wireError, int) {
	class := azml.ClassOf(err)
	if class == nil {
		class = azml.ErrFailed
	}
	status, ok := statuses[class]
	if !ok {
		status = http.StatusInternalServerError
	}
	return &wireError{Class: class.Error(), Text: err.Error()}, status
}

// refuse answers with an error.
func refuse(w http.ResponseWriter, err error) {
	e, status := toWireError(err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(e) // a client that left needs it no more
}
