package testenv

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// AzuriteVariable names the environment variable with the program of Azurite's
// blob service that is taken instead of one of the cache.
const AzuriteVariable = "AZML_TEST_AZURITE"

// The version of Azurite, and its program in npm's package.
const (
	azuriteVersion = "3.37.0"
	azuriteProgram = "dist/src/blob/main.js"
	// azuriteStart is how long a start may take on a busy machine.
	azuriteStart = 2 * time.Minute
	// azuriteStop is how long it may take to put everything on its disk.
	azuriteStop = 20 * time.Second
)

// AzuriteOptions are the options of Azurite.
type AzuriteOptions struct {
	// Dir is a folder to keep blobs in. Empty: all is in memory.
	Dir string
	// Account is the name of its storage account; empty: azmltest.
	Account string
	// OAuth makes it listen by https and take tokens, whoever signed them.
	OAuth bool
	// Roomy lets its heap grow to gigabytes before its collector looks at all of
	// it. Else it does that twenty times a second after some ten GiB, which takes two
	// seconds of CPU time for each GiB that is moved. For benchmarks, which last for
	// minutes: it takes a few hundred MB of memory more for each hundred GiB.
	Roomy bool
}

// AzuriteServer is a running blob service of Azure's emulator, with a key of its
// own.
type AzuriteServer struct {
	// URL is the endpoint of the account, without "/" at its end.
	URL string
	// Account is the name of the storage account.
	Account string
	// Key is the account's key, drawn for this server.
	Key string
	// Certificate is the file of the certificate that it is known by, with OAuth.
	Certificate string
}

// ConnectionString is what clients take.
func (s *AzuriteServer) ConnectionString() string {
	scheme, _, _ := strings.Cut(s.URL, ":")
	return fmt.Sprintf("DefaultEndpointsProtocol=%s;AccountName=%s;AccountKey=%s;BlobEndpoint=%s;", scheme, s.Account, s.Key, s.URL)
}

// Azurite starts Azure's emulator of its blob service on a free port of
// 127.0.0.1. It is stopped at the end of the test. The cache has it from npm,
// unless AZML_TEST_AZURITE names the program.
func Azurite(t testing.TB, opts AzuriteOptions) *AzuriteServer {
	t.Helper()
	server, stop := StartAzurite(t, opts)
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("azurite: %v", err)
		}
	})
	return server
}

// StartAzurite is Azurite for a server that many tests use: whoever calls it
// stops it, from TestMain.
func StartAzurite(t testing.TB, opts AzuriteOptions) (_ *AzuriteServer, stop func() error) {
	t.Helper()
	program := need(t, AbilityAzurite, func() (string, error) { return azurite(t.Context(), false) })
	server, stop, err := startAzurite(program, opts)
	if err != nil {
		t.Fatalf("azurite: %v", err)
	}
	return server, stop
}

// LaunchAzurite is StartAzurite for programs that are no tests.
func LaunchAzurite(ctx context.Context, opts AzuriteOptions) (_ *AzuriteServer, stop func() error, err error) {
	program, err := azurite(ctx, true)
	if err != nil {
		return nil, nil, err
	}
	return startAzurite(program, opts)
}

func azurite(ctx context.Context, again bool) (string, error) {
	if given := os.Getenv(AzuriteVariable); given != "" {
		_, err := os.Stat(given)
		return given, err
	}
	return npm(ctx, "azurite", azuriteVersion, azuriteProgram, again)
}

func startAzurite(program string, opts AzuriteOptions) (_ *AzuriteServer, stop func() error, err error) {
	key := make([]byte, 64)
	_, _ = rand.Read(key) // never fails
	s := &AzuriteServer{Account: cmp.Or(opts.Account, "azmltest"), Key: base64.StdEncoding.EncodeToString(key)}
	dir, err := os.MkdirTemp("", "azurite-")
	if err != nil {
		return nil, nil, err
	}
	var args []string
	if opts.Roomy {
		args = append(args, "--initial-old-space-size=6144", "--max-old-space-size=8192") // MiB, of V8
	}
	args = append(args, program, "--blobHost", "127.0.0.1", "--blobPort", "0", "--skipApiVersionCheck", "--disableTelemetry", "--silent")
	if opts.Dir != "" {
		args = append(args, "--location", opts.Dir)
	} else {
		args = append(args, "--inMemoryPersistence")
	}
	if opts.OAuth {
		s.Certificate = filepath.Join(dir, "cert.pem")
		keyFile := filepath.Join(dir, "key.pem")
		if err := writeCertificate(s.Certificate, keyFile); err != nil {
			return nil, nil, errors.Join(err, os.RemoveAll(dir))
		}
		args = append(args, "--oauth", "basic", "--cert", s.Certificate, "--key", keyFile)
	}
	cmd := exec.Command("node", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "AZURITE_ACCOUNTS="+s.Account+":"+s.Key)
	address, end, err := serve(cmd, " listens on ", azuriteStart, azuriteStop)
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	s.URL = address + "/" + s.Account
	return s, func() error { return errors.Join(end(), os.RemoveAll(dir)) }, nil
}
