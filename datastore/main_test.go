package datastore_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/azml-go/azml/internal/workspacetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens the workspaces of the tests.
var open = workspacetest.Open
