//go:build linux || darwin

package supervisor

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"strconv"
	"time"
)

// Spec is what a supervisor is told. The zero Spec starts nothing.
type Spec struct {
	// Path is the program.
	Path string
	// Args are what it is called with, its name first.
	Args []string
	// Dir is where it starts.
	Dir string
	// Env are its variables, as NAME=VALUE.
	Env []string
	// Input is what it reads on its standard input.
	Input []byte
	// LeftoverGrace is how long what the command leaves behind may take to end.
	LeftoverGrace time.Duration
}

// specEnd is the last field: a spec that was cut off by Start's death is told
// from a whole one.
const specEnd = "end"

// Encode writes the spec as fields that end with NUL, the one byte that
// neither arguments nor variables can hold; the input may hold any.
func (s Spec) Encode() []byte {
	fields := []string{s.Path, s.Dir, s.LeftoverGrace.String(), base64.StdEncoding.EncodeToString(s.Input), strconv.Itoa(len(s.Args))}
	fields = append(fields, s.Args...)
	fields = append(fields, s.Env...)
	var text []byte
	for _, f := range append(fields, specEnd) {
		text = append(append(text, f...), 0)
	}
	return text
}

func readSpec(r io.Reader) (Spec, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return Spec{}, err
	}
	f := fields(data)
	if len(f) < 6 || f[len(f)-1] != specEnd {
		return Spec{}, errors.New("the spec was cut off")
	}
	f = f[:len(f)-1]
	grace, err := time.ParseDuration(f[2])
	if err != nil {
		return Spec{}, err
	}
	input, err := base64.StdEncoding.DecodeString(f[3])
	if err != nil {
		return Spec{}, err
	}
	n, err := strconv.Atoi(f[4])
	if err != nil || n < 0 || 5+n > len(f) {
		return Spec{}, errors.New("the spec is not whole")
	}
	return Spec{Path: f[0], Dir: f[1], LeftoverGrace: grace, Input: input, Args: f[5 : 5+n], Env: f[5+n:]}, nil
}

// fields gives what ends with NUL.
func fields(data []byte) []string {
	var all []string
	for f := range bytes.SplitAfterSeq(data, []byte{0}) {
		if text, whole := bytes.CutSuffix(f, []byte{0}); whole {
			all = append(all, string(text))
		}
	}
	return all
}
