package testenv

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// serve starts a server that says on its standard output, behind marker, by what
// URL it can be reached. It is asked to end by stop, and killed when it does not
// do so in time.
func serve(cmd *exec.Cmd, marker string, starting, stopping time.Duration) (address string, stop func() error, err error) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	var said lines
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	found, ended := make(chan string, 1), make(chan struct{})
	var failure error // known when it has ended
	go func() {
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			_, _ = said.Write(append(scanner.Bytes(), '\n')) // never fails
			if _, after, ok := strings.Cut(scanner.Text(), marker); ok {
				found <- strings.TrimSpace(after)
				break
			}
		}
		_, _ = io.Copy(io.Discard, out) // what else it says; Wait tells of what goes wrong
		failure = cmd.Wait()
		close(ended)
	}()
	stop = func() error {
		_ = interrupt(cmd.Process) // it may have ended
		select {
		case <-ended:
		case <-time.After(stopping):
			_ = cmd.Process.Kill()
			<-ended
		}
		return nil
	}
	select {
	case address = <-found:
		return address, stop, nil
	case <-ended:
		return "", nil, errors.Join(fmt.Errorf("it ended at once: %s", oneLine(said.String())), failure)
	case <-time.After(starting):
		return "", nil, errors.Join(fmt.Errorf("it said nothing of an address: %s", oneLine(said.String())), stop())
	}
}

// lines is what a program has said, written and read by several goroutines.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String gives all of it.
func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// writeCertificate writes a certificate for servers of this machine that is its
// own authority, and its key.
func writeCertificate(certificate, keyFile string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "127.0.0.1"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost", "*.blob.localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
}
