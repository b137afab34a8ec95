package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/atomicfile"
	"github.com/azml-go/azml/workspace"
)

// A command that goes on in the background is this program started again, in a
// session of its own, with its output in a log file and with the name of a
// file for its report. It writes one word into that file when it is under
// way: that is what the starting process waits for.

// backgroundLogTime is how long logs of background processes are kept.
const backgroundLogTime = 30 * 24 * time.Hour

// background starts azml with these arguments in the background and gives its
// report. When it ends before it has reported, the error is what it said last.
func (a *app) background(ctx context.Context, ws *workspace.Workspace, what string, args []string) (string, error) {
	folder := filepath.Join(ws.Details().CacheDir, "background", ws.ID())
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	removeOld(folder)
	base := filepath.Join(folder, fmt.Sprintf("%s-%s-%d", what, time.Now().UTC().Format("20060102T150405.000"), os.Getpid()))
	log, report := base+".log", base+".report"
	args = append([]string{"--report-to", report, "--workspace", ws.Details().Location}, args...)
	ended, child, err := startDetached(args, log)
	if err != nil {
		return "", err
	}
	defer os.Remove(report) // a leftover is removed with old logs
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if text, err := os.ReadFile(report); err == nil {
				return string(text), nil
			}
		case code := <-ended:
			if text, err := os.ReadFile(report); err == nil {
				return string(text), nil // it was done very soon
			}
			err := lastWords(log)
			if code == exitUnserved {
				err = unservedError{err}
			}
			return "", err
		case <-ctx.Done():
			if child.Signal(syscall.SIGTERM) != nil { // Windows can only kill
				_ = child.Kill() // it may have ended
			}
			<-ended
			return "", ctx.Err()
		}
	}
}

// startDetached starts this program in the background. The channel gives its exit code
// when it has ended.
func startDetached(args []string, log string) (<-chan int, *os.Process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, err
	}
	defer out.Close()
	cmd := exec.Command(program, args...) // without ctx: it outlives the caller
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = ownSession()
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	ended := make(chan int, 1)
	go func() {
		_ = cmd.Wait() // its last words say more
		ended <- cmd.ProcessState.ExitCode()
	}()
	return ended, cmd.Process, nil
}

// report tells the process that started this one in the background, if there
// is one, that it is under way.
func (a *app) report(text string) error {
	if a.reportTo == "" {
		return nil
	}
	return atomicfile.Write(a.reportTo, []byte(text), 0o600)
}

// lastWords makes an error of what a background process said before it ended.
func lastWords(log string) error {
	text, err := os.ReadFile(log)
	if err != nil {
		return err
	}
	words := strings.TrimSpace(string(text))
	if at := strings.LastIndex(words, "azml: "); at >= 0 {
		words = words[at+len("azml: "):]
	}
	if words == "" {
		return fmt.Errorf("%w: the background process ended without a word", azml.ErrFailed)
	}
	return fmt.Errorf("%s", words)
}

// removeOld removes logs that nobody has written to for long.
func removeOld(folder string) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > backgroundLogTime {
			_ = os.Remove(filepath.Join(folder, e.Name())) // next time
		}
	}
}
