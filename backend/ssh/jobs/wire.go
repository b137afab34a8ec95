package jobs

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Protocol is the version of what a Client and Serve say to each other.
const Protocol = 2

// greeting begins the line that Serve says first, before the version.
const greeting = "azml-jobs protocol "

// startRequest is the body of a start. Bytes, not strings: what a command is
// given need not be UTF-8.
type startRequest struct {
	// Token is the caller's own of this Start, the same however often it is sent.
	Token   string         `json:"token"`
	ID      string         `json:"id"`
	Command [][]byte       `json:"command"`
	Dir     []byte         `json:"dir"`
	Env     [][2][]byte    `json:"env,omitempty"`
	Input   []byte         `json:"input,omitempty"`
	Image   string         `json:"image,omitempty"`
	Limits  backend.Limits `json:"limits,omitzero"`
	// Rank is for Hold alone, see MarshalRequest.
	Rank string `json:"rank,omitempty"`
}

func newStartRequest(token string, job backend.Job) startRequest {
	q := startRequest{Token: token, ID: job.ID, Dir: []byte(job.Dir), Input: job.Input, Image: job.Image, Limits: job.Limits}
	for _, arg := range job.Command {
		q.Command = append(q.Command, []byte(arg))
	}
	for name, value := range job.Env {
		q.Env = append(q.Env, [2][]byte{[]byte(name), []byte(value)})
	}
	return q
}

func (q startRequest) job() backend.Job {
	job := backend.Job{ID: q.ID, Dir: string(q.Dir), Env: map[string]string{}, Input: q.Input, Image: q.Image, Limits: q.Limits}
	for _, arg := range q.Command {
		job.Command = append(job.Command, string(arg))
	}
	for _, v := range q.Env {
		job.Env[string(v[0])] = string(v[1])
	}
	return job
}

// located is the answer to what has a place on the far machine: a program, or
// the address that a job reaches back by.
type located struct {
	Path string `json:"path"`
}

// arrived is a line about a connection that a job has made.
type arrived struct {
	Connection string `json:"connection"`
}

// failure is an error on its way. Streams have it in their trailer.
type failure struct {
	Class string `json:"class"`
	Text  string `json:"text"`
}

const failureTrailer = "Azml-Failure"

func newFailure(err error) failure {
	class := azml.ClassOf(err)
	if class == nil {
		class = azml.ErrUnavailable
	}
	return failure{Class: class.Error(), Text: strings.TrimPrefix(err.Error(), class.Error()+": ")}
}

func (f failure) error() error {
	for _, class := range azml.Classes() {
		if class.Error() == f.Class {
			return fmt.Errorf("%w: %s", class, f.Text)
		}
	}
	return fmt.Errorf("%w: %s: %s", azml.ErrUnavailable, f.Class, f.Text)
}

// trailed gives the error in the trailer of an answer that was read to its end.
func trailed(answer *http.Response) error {
	text := answer.Trailer.Get(failureTrailer)
	if text == "" {
		return nil
	}
	var f failure
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	return f.error()
}

// ErrLost says that the connection is gone and the answer with it: whether the
// call was carried out is unknown. It is an azml.ErrUnavailable.
var ErrLost = fmt.Errorf("%w: the connection was lost", azml.ErrUnavailable)

func errVersion(version string) error {
	return fmt.Errorf("%w: the azml program there speaks version %s of the protocol of jobs, this one version %d; install the same version on both",
		azml.ErrUnsupported, version, Protocol)
}
