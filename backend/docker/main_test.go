package docker_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/backend/docker"
)

// starter says by which of the two a starter starts.
type starter struct {
	Options *docker.Options
	Machine *place
}

func (s starter) open() (backend.Compute, error) {
	if s.Machine != nil {
		return docker.NewMachine(s.Machine.options())
	}
	return docker.New(s.Options)
}

func TestMain(m *testing.M) {
	backendtest.Starter(starter.open)
	goleak.VerifyTestMain(m)
}
