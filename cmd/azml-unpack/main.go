// Command azml-unpack unpacks a program where azml brings one, which is there sooner packed
// and behind this small program than as it is:
//
//	azml-unpack FILE PACKED SIZE
//
// It reads PACKED bytes of its standard input, a program as zstd packs it, and no more, for
// what follows is for somebody else. FILE is then that program, if it has SIZE bytes, or as
// it was, and the exit code 1.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/klauspost/compress/zstd"
)

func main() {
	if err := run(os.Args[1:], os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "azml-unpack:", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader) error {
	if len(args) != 3 {
		return errors.New("this program is started by azml alone, in pods")
	}
	packed, noNumber := strconv.ParseInt(args[1], 10, 64)
	size, err := strconv.ParseInt(args[2], 10, 64)
	if err = errors.Join(noNumber, err); err != nil {
		return err
	}
	return install(args[0], size, io.LimitReader(in, packed))
}

// install makes the file, whole or not at all.
func install(file string, size int64, packed io.Reader) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".new-*")
	if err != nil {
		return err
	}
	const executable = 0o755
	err = errors.Join(unpack(f, size, packed), f.Chmod(executable), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// maxWindow bounds the memory that unpacking takes, to some thrice as much.
const maxWindow = 8 << 20

// unpack writes what is packed, which has to have the size.
func unpack(to io.Writer, size int64, packed io.Reader) error {
	z, err := zstd.NewReader(packed, zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return err
	}
	defer z.Close()
	n, err := io.Copy(to, io.LimitReader(z, size+1))
	if err == nil && n != size {
		err = fmt.Errorf("the program is not whole, or another one: want %d bytes", size)
	}
	return err
}
