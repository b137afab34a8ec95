package tensorboard_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/azml-go/azml/internal/workspacetest"
)

// asExporter is the variable that makes the test's program export a run and
// nothing else, for tests that kill it.
const asExporter = "AZML_TEST_EXPORT"

func TestMain(m *testing.M) {
	if os.Getenv(asExporter) != "" {
		if err := exportAsProcess(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// The workspaces of the tests.
var (
	open   = workspacetest.Open
	reopen = workspacetest.Reopen
)
