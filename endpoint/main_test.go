package endpoint_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/azml-go/azml/internal/workspacetest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(hostVariable); dir != "" {
		if err := serveUntilEOF(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// The workspaces and files of the tests.
var (
	open   = workspacetest.Open
	reopen = workspacetest.Reopen
	file   = workspacetest.File
)
