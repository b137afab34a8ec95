package tensorboard_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/azml-go/azml/internal/workspacetest"
)

// The variables that make the test's program export a run or import a folder
// and nothing else, for tests that kill it.
const (
	asExporter = "AZML_TEST_EXPORT"
	asImporter = "AZML_TEST_IMPORT"
)

func TestMain(m *testing.M) {
	for variable, process := range map[string]func(args []string) error{asExporter: exportAsProcess, asImporter: importAsProcess} {
		if args := os.Getenv(variable); args != "" {
			if err := process(strings.Split(args, "|")); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	goleak.VerifyTestMain(m)
}

// The workspaces of the tests.
var (
	open   = workspacetest.Open
	reopen = workspacetest.Reopen
)
