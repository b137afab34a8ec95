//go:build linux

package ssh_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/backend/docker"
	"github.com/azml-go/azml/backend/ssh"
	"github.com/azml-go/azml/backend/ssh/jobs"
	"github.com/azml-go/azml/internal/testenv"
)

// TestMain also is the azml program on the machine.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "jobs" {
		if err := jobs.Run(context.Background(), os.Args[2:], os.Stdin, os.Stdout, docker.Kind{}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	backendtest.Starter(server.driver)
	goleak.VerifyTestMain(m)
}

// server is where to log in, for processes of the tests.
type server struct {
	Port    int
	User    string
	Key     []byte
	HostKey string
	Dir     string
	// Engine is the connection of the Docker engine that runs containers there; nil
	// for none.
	Engine map[string]string
}

// driver gives one for jobs there.
func (s server) driver() (backend.OpenedCompute, error) {
	config := s.config()
	if s.Engine != nil {
		config.Containers = &backend.ComputeSource{Type: docker.Type, Connection: s.Engine}
		return ssh.NewContainers(config, testenv.DockerImage)
	}
	return ssh.New(config)
}

func (s server) config() ssh.Config {
	return ssh.Config{Address: "127.0.0.1", Port: s.Port, User: s.User, Dir: s.Dir, HostKey: ssh.HostKey{Known: s.HostKey},
		Credential: func(context.Context) (ssh.Credential, error) { return ssh.Credential{PrivateKey: s.Key}, nil },
		Program:    func(context.Context, backend.Platform) (string, error) { return os.Executable() }}
}
