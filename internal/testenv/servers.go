package testenv

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// versitygw is the S3 server of tests: a gateway to a folder, in Go.
const versitygw = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"

// S3Server is an S3 server on this machine.
type S3Server struct {
	// Endpoint is its URL.
	Endpoint string
	// AccessKey and SecretKey are the credentials of its only user.
	AccessKey, SecretKey string
	// Region is the region that it says it is in.
	Region string
}

// S3 starts an S3 server without buckets, which ends with the test.
func S3(t testing.TB) S3Server {
	t.Helper()
	program := need(t, AbilityS3, func() (string, error) { return s3Server(t.Context(), false) })
	dir := t.TempDir()
	s := S3Server{AccessKey: "AKIATEST", SecretKey: "s3cret/of+the=test", Region: "us-east-1"}
	address := loopback(FreePort(t))
	s.Endpoint = "http://" + address
	cmd := exec.Command(program, "--port", address, "--region", s.Region, "--quiet", "posix", dir)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+s.AccessKey, "ROOT_SECRET_KEY="+s.SecretKey)
	start(t, cmd, func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Endpoint, http.NoBody)
		if err != nil {
			return err
		}
		response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
		if err != nil {
			return err
		}
		return response.Body.Close()
	})
	return s
}

// s3Server gives the program, built from source where it isn't yet.
func s3Server(ctx context.Context, again bool) (string, error) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		return "", err
	}
	c, err := openCache()
	if err != nil {
		return "", err
	}
	_, version, _ := strings.Cut(versitygw, "@")
	dir, err := c.installed(ctx, "versitygw-"+version, again, func(dir string) error {
		_, err := output(ctx, "env", "GOBIN="+dir, "GOFLAGS=", goTool, "install", versitygw)
		return err
	})
	return filepath.Join(dir, "versitygw"), err
}

// PostgreSQLServer is a PostgreSQL server on this machine.
type PostgreSQLServer struct {
	// Host is its address.
	Host string
	// Port is its port.
	Port int
	// User is its superuser, and Password his.
	User, Password string
	// Database is an empty database.
	Database string
}

// PostgreSQL starts a PostgreSQL server, which ends with the test.
func PostgreSQL(t testing.TB) PostgreSQLServer {
	t.Helper()
	bin := need(t, AbilityPostgreSQL, func() (string, error) { return postgres(t.Context()) })
	as, err := postgresUser()
	if err != nil {
		Skip(t, AbilityPostgreSQL, err.Error())
	}
	dir, err := os.MkdirTemp("", "azml-postgres-") //nolint:usetesting // the parents of t.TempDir are closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := PostgreSQLServer{Host: "127.0.0.1", User: "azml", Password: "pa55/of the=test", Database: "postgres"}
	passwordFile := filepath.Join(dir, "password")
	err = errors.Join(os.WriteFile(passwordFile, []byte(s.Password), 0o600), as.own(dir), as.own(passwordFile))
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	initdb := as.run(exec.CommandContext(t.Context(), filepath.Join(bin, "initdb"), "-D", data, "-U", s.User, "--pwfile", passwordFile,
		"-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"))
	initdb.Dir = dir
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v: %s", err, out)
	}
	s.Port = FreePort(t)
	port := strconv.Itoa(s.Port)
	cmd := as.run(exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-h", s.Host, "-p", port, "-k", "", "-F"))
	cmd.Dir = dir
	start(t, cmd, func(ctx context.Context) error {
		_, err := output(ctx, filepath.Join(bin, "pg_isready"), "-h", s.Host, "-p", port)
		return err
	})
	return s
}

// postgres gives the folder of PostgreSQL's programs.
func postgres(ctx context.Context) (string, error) {
	program, err := program(ctx, findPostgres, "postgresql")
	return filepath.Dir(program), err
}

func findPostgres(ctx context.Context) (string, error) {
	program, err := exec.LookPath("postgres")
	if err != nil { // Debian keeps it out of the path
		there, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
		if len(there) == 0 {
			return "", err
		}
		program = there[len(there)-1]
	}
	if program, err = filepath.EvalSymlinks(program); err != nil {
		return "", err
	}
	_, err = output(ctx, program, "--version")
	return program, err
}

// postgresUser gives whom the server runs as: it refuses root.
func postgresUser() (runAs, error) {
	if runtime.GOOS == "windows" || os.Geteuid() != 0 {
		return runAs{}, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return runAs{}, err
	}
	var as runAs
	_, err = fmt.Sscan(u.Uid+" "+u.Gid, &as.uid, &as.gid)
	return as, err
}

// runAs is another user of this machine; the zero runAs is this one.
type runAs struct{ uid, gid uint32 }

// own gives a file to the user.
func (as runAs) own(path string) error {
	if as.uid == 0 {
		return nil
	}
	return os.Chown(path, int(as.uid), int(as.gid))
}

// patience is how long a server, an engine or a node may take to be ready on a busy machine.
const patience = 4 * time.Minute

// start starts a server, waits until it is ready, and ends it with the test.
func start(t testing.TB, cmd *exec.Cmd, ready func(ctx context.Context) error) {
	t.Helper()
	t.Cleanup(startStoppable(t, cmd, ready))
}

// startStoppable starts a server, waits until it is ready, and gives what ends it.
func startStoppable(t testing.TB, cmd *exec.Cmd, ready func(ctx context.Context) error) (stop func()) {
	t.Helper()
	stop, err := startServer(t.Context(), cmd, ready)
	if err != nil {
		t.Fatal(err)
	}
	return stop
}

// startServer is startStoppable without a test.
func startServer(ctx context.Context, cmd *exec.Cmd, ready func(ctx context.Context) error) (stop func(), err error) {
	var said lines
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	stop = func() {
		_ = cmd.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := ready(ctx)
		if err == nil {
			return stop, nil
		}
		select {
		case <-ended:
			return nil, fmt.Errorf("%s ended: %s", cmd.Path, said.String())
		case <-ctx.Done():
			stop()
			return nil, fmt.Errorf("%s is not ready after %s: %w", cmd.Path, patience, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
