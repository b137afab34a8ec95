package mlflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/azml-go/azml"
)

// code is one of MLflow's error codes. Clients look at it, and not at the HTTP
// status.
type code string

const (
	codeBadRequest       code = "BAD_REQUEST"
	codeInvalidParameter code = "INVALID_PARAMETER_VALUE"
	codeEndpointNotFound code = "ENDPOINT_NOT_FOUND"
	codeNotFound         code = "RESOURCE_DOES_NOT_EXIST"
	codeExists           code = "RESOURCE_ALREADY_EXISTS"
	codeConflict         code = "RESOURCE_CONFLICT"
	codeDenied           code = "PERMISSION_DENIED"
	codeNotImplemented   code = "NOT_IMPLEMENTED"
	codeUnavailable      code = "TEMPORARILY_UNAVAILABLE"
	codeDeadline         code = "DEADLINE_EXCEEDED"
	codeDataLoss         code = "DATA_LOSS"
	codeInternal         code = "INTERNAL_ERROR"
)

// status gives the HTTP status that MLflow's server answers with. Clients try
// again on 5xx, for minutes, so nothing that they can't help by that is one.
func (c code) status() int {
	switch c {
	case codeEndpointNotFound, codeNotFound:
		return http.StatusNotFound
	case codeConflict:
		return http.StatusConflict
	case codeDenied:
		return http.StatusForbidden
	case codeNotImplemented:
		return http.StatusNotImplemented
	case codeUnavailable:
		return http.StatusServiceUnavailable
	case codeDeadline:
		return http.StatusGatewayTimeout
	case codeDataLoss, codeInternal:
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}

// failure is an error in MLflow's words.
type failure struct {
	code    code
	message string
}

// Error implements error.
func (f *failure) Error() string { return string(f.code) + ": " + f.message }

func failf(c code, format string, args ...any) error {
	return &failure{c, fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) error { return failf(codeInvalidParameter, format, args...) }

// classes are the codes for azml's classes of errors.
var classes = []struct {
	class error
	code  code
}{
	{azml.ErrNotFound, codeNotFound},
	{azml.ErrExists, codeExists},
	{azml.ErrConflict, codeConflict},
	{azml.ErrInvalid, codeInvalidParameter},
	{azml.ErrDenied, codeDenied},
	{azml.ErrUnsupported, codeNotImplemented},
	{azml.ErrDamaged, codeDataLoss},
	{azml.ErrUnavailable, codeUnavailable},
	{azml.ErrClosed, codeUnavailable},
	{context.DeadlineExceeded, codeDeadline},
}

// asFailure puts an error into MLflow's words.
func asFailure(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &failure{codeInvalidParameter, fmt.Sprintf("The request is larger than %d bytes", tooLarge.Limit)}
	}
	for _, c := range classes {
		if errors.Is(err, c.class) {
			return &failure{c.code, clientText(err, c.code)}
		}
	}
	return &failure{codeInternal, err.Error()}
}

// clientText is what a client is told of an error that is not in MLflow's words:
// where the store is, is for the server's log.
func clientText(err error, c code) string {
	switch {
	case errors.Is(err, azml.ErrClosed):
		return errStopped.message
	case c == codeUnavailable:
		return "The store of the workspace can't be reached at the moment: try again, and look into the server's log"
	}
	return err.Error()
}

// fail answers with the error.
func (c call) fail(w http.ResponseWriter, r *http.Request, err error) {
	f := asFailure(err)
	status := f.code.status()
	if status >= http.StatusInternalServerError && r.Context().Err() == nil && f.code != codeNotImplemented {
		c.core.Logger().WarnContext(r.Context(), "a request of an MLflow client failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	Refuse(w, status, string(f.code), f.message)
}

// Refuse answers with an error in MLflow's form, for who stands in front of the
// handler.
func Refuse(w http.ResponseWriter, status int, code, message string) {
	body, _ := json.Marshal(map[string]string{"error_code": code, "message": message}) // strings always encode
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone needs no answer
}
