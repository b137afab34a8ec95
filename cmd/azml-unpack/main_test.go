package main

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
)

// commandVariable has the test's own program be the command.
const commandVariable = "AZML_TEST_UNPACK"

func TestMain(m *testing.M) {
	if os.Getenv(commandVariable) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// content is some megabytes, half of which zstd can do without.
func content() []byte {
	random := rand.NewChaCha8([32]byte{1})
	all := make([]byte, 3<<20)
	for half := all; len(half) > 0; half = half[8:] {
		_, _ = random.Read(half[:4])
	}
	return all
}

// pack gives what zstd makes of some bytes.
func pack(t *testing.T, of []byte, opts ...zstd.EOption) []byte {
	t.Helper()
	var to bytes.Buffer
	z, err := zstd.NewWriter(&to, opts...)
	require.NoError(t, err)
	_, err = z.Write(of)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return to.Bytes()
}

// command is the program as a pod has it called.
func command(t *testing.T, file string, packed, size int, in io.Reader) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], file, strconv.Itoa(packed), strconv.Itoa(size))
	cmd.Env, cmd.Stdin = append(os.Environ(), commandVariable+"=1"), in
	return cmd
}

// TestUnpacks one program after another from one stream, of which nothing more is read.
func TestUnpacks(t *testing.T) {
	t.Parallel()
	want, dir := content(), t.TempDir()
	packed := pack(t, want)
	stream, writer, err := os.Pipe()
	require.NoError(t, err)
	defer stream.Close()
	go func() {
		defer writer.Close()
		_, _ = writer.Write(append(append(bytes.Clone(packed), packed...), "the rest"...))
	}()
	for _, name := range []string{"first", "second"} {
		file := filepath.Join(dir, name)
		said, err := command(t, file, len(packed), len(want), stream).CombinedOutput()
		require.NoError(t, err, "%s", said)
		require.Empty(t, said)
		got, err := os.ReadFile(file)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got))
		info, err := os.Stat(file)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o755), info.Mode())
	}
	rest, err := io.ReadAll(stream)
	require.NoError(t, err)
	require.Equal(t, "the rest", string(rest))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 2)
}

// TestRefuses what is not the whole program: the file stays as it was, and nothing is left.
func TestRefuses(t *testing.T) {
	t.Parallel()
	want := content()
	packed := pack(t, want)
	damaged := bytes.Clone(packed)
	damaged[len(damaged)/2] ^= 1
	file := filepath.Join(t.TempDir(), "azml")
	require.NoError(t, os.WriteFile(file, []byte("as it was"), 0o600))
	blocked := filepath.Join(t.TempDir(), "azml")
	require.NoError(t, os.MkdirAll(filepath.Join(blocked, "a folder"), 0o700))
	for name, c := range map[string]struct {
		file, packed, size string
		stream             []byte
		says               string
	}{
		"cut off":           {file, strconv.Itoa(len(packed)), strconv.Itoa(len(want)), packed[:len(packed)/2], "unexpected EOF"},
		"nothing":           {file, strconv.Itoa(len(packed)), strconv.Itoa(len(want)), nil, "want"},
		"counted too short": {file, strconv.Itoa(len(packed) - 1), strconv.Itoa(len(want)), packed, "unexpected EOF"},
		"counted too long":  {file, strconv.Itoa(len(packed) + 4), strconv.Itoa(len(want)), append(bytes.Clone(packed), "more"...), "magic"},
		"damaged":           {file, strconv.Itoa(len(packed)), strconv.Itoa(len(want)), damaged, ""},
		"smaller":           {file, strconv.Itoa(len(packed)), strconv.Itoa(len(want) + 1), packed, "want 3145729"},
		"larger":            {file, strconv.Itoa(len(packed)), strconv.Itoa(len(want) - 1), packed, "want 3145727"},
		"takes much memory": {file, strconv.Itoa(len(packed)), strconv.Itoa(len(want)), pack(t, want, zstd.WithWindowSize(4*maxWindow)), "window"},
		"no number":         {file, "many", strconv.Itoa(len(want)), packed, "many"},
		"no size":           {file, strconv.Itoa(len(packed)), "", packed, "parsing"},
		"no folder":         {filepath.Join(file, "azml"), strconv.Itoa(len(packed)), strconv.Itoa(len(want)), packed, file},
		"a folder":          {blocked, strconv.Itoa(len(packed)), strconv.Itoa(len(want)), packed, blocked},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorContains(t, run([]string{c.file, c.packed, c.size}, bytes.NewReader(c.stream)), c.says)
			kept, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, "as it was", string(kept))
			for _, at := range []string{file, blocked} {
				left, err := os.ReadDir(filepath.Dir(at))
				require.NoError(t, err)
				require.Len(t, left, 1)
			}
		})
	}
	require.ErrorContains(t, run(nil, nil), "azml alone")
}

// TestKilled in the middle: nothing looks like the program.
func TestKilled(t *testing.T) {
	t.Parallel()
	want, dir := content(), t.TempDir()
	packed := pack(t, want)
	stream, writer := io.Pipe()
	cmd := command(t, filepath.Join(dir, "azml"), len(packed), len(want), stream)
	require.NoError(t, cmd.Start())
	_, err := writer.Write(packed[:len(packed)-1]) // the last byte of which tells that all is there
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		begun, err := filepath.Glob(filepath.Join(dir, ".new-*"))
		require.NoError(t, err)
		if len(begun) == 0 {
			return false
		}
		info, err := os.Stat(begun[0])
		return err == nil && info.Size() > 0
	}, time.Minute, 5*time.Millisecond)
	require.NoError(t, cmd.Process.Kill())
	require.NoError(t, writer.Close())
	require.ErrorContains(t, cmd.Wait(), "killed")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1)
	info, err := left[0].Info()
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode(), "it can't be run")
	require.NotEqual(t, "azml", left[0].Name())
}
