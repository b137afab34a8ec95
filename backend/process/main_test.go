//go:build linux

package process_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/backend/process"
)

func TestMain(m *testing.M) {
	backendtest.Starter(func(dir string) (*process.Driver, error) { return process.New(dir, nil) })
	goleak.VerifyTestMain(m)
}
