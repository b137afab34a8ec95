package environment_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/azml-go/azml/internal/workspacetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The workspaces and files of the tests.
var (
	open   = workspacetest.Open
	reopen = workspacetest.Reopen
	file   = workspacetest.File
)
