package testenv

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shirou/gopsutil/v4/process"
	"golang.org/x/crypto/ssh"
)

// SSHServer is an OpenSSH server on this machine, on 127.0.0.1.
type SSHServer struct {
	// Port is its port.
	Port int
	// User logs in with Key: the user of the tests.
	User string
	// Key is a private key that logs in whoever has an account.
	Key []byte
	// HostKey is the server's public key, as a line.
	HostKey string

	t       testing.TB
	dir     string
	config  string
	stop    func()
	release func() // of the port
	pid     int
}

// SSHD starts an OpenSSH server, which ends with the test. Its configuration has
// these lines, too.
func SSHD(t testing.TB, lines ...string) *SSHServer {
	t.Helper()
	program := need(t, AbilitySSHD, func() (string, error) { return sshd(t.Context()) })
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	s, err := launchSSHD(t.Context(), program, me.Username, lines)
	if err != nil {
		t.Fatal(err)
	}
	s.t = t
	t.Cleanup(s.end)
	return s
}

// LaunchSSHD is SSHD for programs that are no tests; stop ends the server.
func LaunchSSHD(ctx context.Context) (s *SSHServer, stop func(), err error) {
	program, err := sshd(ctx)
	if err != nil {
		return nil, nil, err
	}
	me, err := user.Current()
	if err != nil {
		return nil, nil, err
	}
	if s, err = launchSSHD(ctx, program, me.Username, nil); err != nil {
		return nil, nil, err
	}
	return s, s.end, nil
}

func launchSSHD(ctx context.Context, program, user string, lines []string) (*SSHServer, error) {
	dir, err := os.MkdirTemp("", "azml-sshd-") // the parents of t.TempDir are closed to others
	if err != nil {
		return nil, err
	}
	s := &SSHServer{User: user, dir: dir, config: filepath.Join(dir, "config")}
	if s.Port, s.release, err = ReservePort(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err = s.configure(lines); err == nil {
		err = s.start(ctx, program)
	}
	if err != nil {
		s.release()
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

func (s *SSHServer) end() {
	s.stop()
	s.release()
	_ = os.RemoveAll(s.dir)
}

func (s *SSHServer) configure(lines []string) error {
	keys, host := filepath.Join(s.dir, "authorized_keys"), filepath.Join(s.dir, "host_key")
	public, private, err := SSHKey()
	if err != nil {
		return err
	}
	s.Key = private
	hostPublic, hostPrivate, err := SSHKey()
	if err != nil {
		return err
	}
	s.HostKey = strings.TrimSpace(hostPublic)
	config := fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %s\nAuthorizedKeysFile %s\nPidFile none\nUsePAM no\nStrictModes no\n"+
		"KbdInteractiveAuthentication no\nUseDNS no\n%s\n", s.Port, host, keys, strings.Join(lines, "\n"))
	return errors.Join(os.Chmod(s.dir, 0o755),
		os.WriteFile(keys, []byte(public), 0o644), os.WriteFile(host, hostPrivate, 0o600),
		os.WriteFile(filepath.Join(s.dir, "config"), []byte(config), 0o600))
}

// SSHKey makes a key and gives its public line and its private file.
func SSHKey() (public string, private []byte, err error) {
	publicKey, privateKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", nil, err
	}
	key, err := ssh.NewPublicKey(publicKey)
	if err != nil {
		return "", nil, err
	}
	block, err := ssh.MarshalPrivateKey(privateKey, "")
	if err != nil {
		return "", nil, err
	}
	return string(ssh.MarshalAuthorizedKey(key)), pem.EncodeToMemory(block), nil
}

func (s *SSHServer) start(ctx context.Context, program string) (err error) {
	cmd := exec.Command(program, "-D", "-e", "-f", s.config)
	cmd.WaitDelay = time.Second // its connections hold its output open
	s.stop, err = startServer(ctx, cmd, func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", loopback(s.Port))
		if err != nil {
			return err
		}
		return conn.Close()
	})
	if err == nil {
		s.pid = cmd.Process.Pid
	}
	return err
}

// Kill ends the server and all its connections with SIGKILL.
func (s *SSHServer) Kill() {
	s.t.Helper()
	all := []int32{int32(s.pid)}
	for i := 0; i < len(all); i++ {
		p, err := process.NewProcess(all[i])
		if err != nil {
			continue // it is gone
		}
		children, _ := p.Children()
		for _, c := range children {
			if name, _ := c.Name(); strings.HasPrefix(name, "sshd") { // what it runs learns by itself
				all = append(all, c.Pid)
			}
		}
	}
	for _, pid := range all {
		if p, err := os.FindProcess(int(pid)); err == nil {
			_ = p.Kill()
		}
	}
	s.stop()
}

// Restart starts a killed server anew, on the same port with the same keys.
func (s *SSHServer) Restart() {
	s.t.Helper()
	if err := s.start(s.t.Context(), need(s.t, AbilitySSHD, func() (string, error) { return sshd(s.t.Context()) })); err != nil {
		s.t.Fatal(err)
	}
}

func sshd(ctx context.Context) (string, error) {
	path, err := program(ctx, findSSHD, "openssh-server")
	if err == nil && os.Geteuid() == 0 {
		err = os.MkdirAll("/run/sshd", 0o755)
	}
	return path, err
}

func findSSHD(context.Context) (string, error) {
	path, err := exec.LookPath("sshd")
	if err != nil { // often not in the path of users
		path = "/usr/sbin/sshd"
	}
	path, err = filepath.Abs(path) // it starts itself anew by its path
	if err == nil {
		_, err = os.Stat(path)
	}
	return path, err
}

// SSHAccount is an account of this machine that was made for tests.
type SSHAccount struct {
	// Name is the account's.
	Name string
	// Password is its password.
	Password string
	// Home is its home folder.
	Home string
}

// Account gives an account other than that of the tests, which is made when it is
// not there, and stays. Only root can make one.
func (s *SSHServer) Account(t testing.TB) SSHAccount {
	t.Helper()
	a := SSHAccount{Name: "azml-testenv", Home: "/home/azml-testenv"}
	need(t, AbilitySSHD, func() (_ string, err error) {
		a.Password, err = accountPassword(t.Context(), a.Name)
		return a.Password, err
	})
	return a
}

// accountPassword gives the password of the account, which is random and kept in
// the cache.
func accountPassword(ctx context.Context, name string) (string, error) {
	if os.Geteuid() != 0 {
		return "", errors.New("only root may make an account to log in to")
	}
	c, err := openCache()
	if err != nil {
		return "", err
	}
	unlock, err := c.lock(ctx, name)
	if err != nil {
		return "", err
	}
	defer unlock()
	file := filepath.Join(c.dir, name+".password")
	if known, err := os.ReadFile(file); err == nil {
		if _, err := user.Lookup(name); err == nil {
			return string(known), nil
		}
	}
	if _, err := user.Lookup(name); err != nil {
		if _, err := output(ctx, "useradd", "--create-home", "--shell", "/bin/sh", name); err != nil {
			return "", err
		}
	}
	password := rand.Text()
	change := exec.CommandContext(ctx, "chpasswd")
	change.Stdin = strings.NewReader(name + ":" + password)
	change.WaitDelay = 5 * time.Second
	if out, err := change.CombinedOutput(); err != nil {
		return "", fmt.Errorf("chpasswd: %w: %s", err, out)
	}
	return password, os.WriteFile(file, []byte(password), 0o600)
}
