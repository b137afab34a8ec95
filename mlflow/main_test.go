package mlflow_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/azml-go/azml/internal/workspacetest"
)

// asImporter is the variable that makes the test's program import once and
// nothing else, for tests that kill it.
const asImporter = "AZML_TEST_IMPORT"

func TestMain(m *testing.M) {
	if args := os.Getenv(asImporter); args != "" {
		if err := importAsProcess(strings.Split(args, "|")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		for _, end := range ends {
			end()
		}
		os.Exit(code)
	}))
}

// The workspaces of the tests.
var (
	open   = workspacetest.Open
	reopen = workspacetest.Reopen
)
