package localfs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/localfs"
)

const (
	processes  = 8
	increments = 15
	races      = 10
	childDir   = "AZML_TEST_LOCALFS_DIR" // makes the test binary a child that works in this folder
)

// children are what the test binary does as a child.
var children = map[string]func(dir, id string) error{"count": child, "churn": churn}

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := children[os.Args[1]](dir, os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// TestManyProcesses has processes count together, race to create, and race to
// append; each prints what it won.
func TestManyProcesses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	_, err := s.Put(t.Context(), "counter", strings.NewReader("0"), &backend.PutOptions{})
	require.NoError(t, err)
	cmds := make([]*exec.Cmd, processes)
	outs := make([]strings.Builder, processes)
	for i := range cmds {
		cmds[i] = command(t, dir, "count", i)
		cmds[i].Stdout, cmds[i].Stderr = &outs[i], os.Stderr
		require.NoError(t, cmds[i].Start())
	}
	won := map[string]string{}
	for i, cmd := range cmds {
		require.NoError(t, cmd.Wait())
		for _, prize := range strings.Fields(outs[i].String()) {
			require.NotContains(t, won, prize, "two processes won")
			won[prize] = strconv.Itoa(i)
		}
	}
	require.Len(t, won, 2*races)
	require.Equal(t, strconv.Itoa(processes*increments), read(t, s, "counter"))
	log := read(t, s, "log")
	require.Len(t, log, races)
	for i := range races {
		require.Equal(t, won[fmt.Sprintf("race/%d", i)], read(t, s, fmt.Sprintf("race/%d", i)))
		require.Equal(t, won[fmt.Sprintf("log@%d", i)], log[i:i+1])
	}
}

// command is a child.
func command(t *testing.T, dir, what string, id int) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), os.Args[0], what, strconv.Itoa(id))
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	return cmd
}

func read(t testing.TB, s backend.Objects, key string) string {
	t.Helper()
	o, err := s.Get(t.Context(), key, &backend.GetOptions{})
	require.NoError(t, err)
	defer o.Body.Close()
	data, err := io.ReadAll(o.Body)
	require.NoError(t, err)
	return string(data)
}

// child is one of the processes.
func child(dir, id string) error {
	s, err := localfs.New(dir, nil)
	if err != nil {
		return err
	}
	defer s.Close()
	for range increments {
		if err := increment(s); err != nil {
			return err
		}
	}
	for i := range races {
		key := fmt.Sprintf("race/%d", i)
		_, err := s.Put(context.Background(), key, strings.NewReader(id), &backend.PutOptions{IfNoneMatch: true})
		if err == nil {
			fmt.Println(key)
		} else if !errors.Is(err, azml.ErrExists) {
			return err
		}
		_, err = s.Append(context.Background(), "log", int64(i), []byte(id))
		if err == nil {
			fmt.Printf("log@%d\n", i)
		} else if !errors.Is(err, azml.ErrConflict) {
			return err
		}
	}
	return nil
}

func increment(s backend.Objects) error {
	for {
		o, err := s.Get(context.Background(), "counter", &backend.GetOptions{})
		if err != nil {
			return err
		}
		text, err := io.ReadAll(o.Body)
		o.Body.Close()
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(string(text))
		if err != nil {
			return err
		}
		_, err = s.Put(context.Background(), "counter", strings.NewReader(strconv.Itoa(n+1)), &backend.PutOptions{IfMatch: o.Info.ETag})
		if !errors.Is(err, azml.ErrConflict) {
			return err
		}
	}
}
