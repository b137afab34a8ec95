//go:build linux || darwin

package process

import (
	"encoding/base64"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
)

// spec is what Start tells the supervisor. The zero spec starts nothing.
type spec struct {
	path          string
	args          []string
	dir           string
	env           []string
	input         []byte
	leftoverGrace time.Duration
}

// specEnd is the last field: a spec that was cut off by Start's death is told
// from a whole one.
const specEnd = "end"

// encode writes the spec as fields that end with NUL, the one byte that
// neither arguments nor variables can hold; the input may hold any.
func (s spec) encode() string {
	fields := []string{s.path, s.dir, s.leftoverGrace.String(), base64.StdEncoding.EncodeToString(s.input), strconv.Itoa(len(s.args))}
	fields = append(fields, s.args...)
	fields = append(fields, s.env...)
	return strings.Join(append(fields, specEnd), "\x00") + "\x00"
}

func readSpec(r io.Reader) (spec, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return spec{}, err
	}
	f := strings.Split(string(data), "\x00")
	if len(f) < 7 || f[len(f)-1] != "" || f[len(f)-2] != specEnd {
		return spec{}, errors.New("the spec was cut off")
	}
	f = f[:len(f)-2]
	grace, err := time.ParseDuration(f[2])
	if err != nil {
		return spec{}, err
	}
	input, err := base64.StdEncoding.DecodeString(f[3])
	if err != nil {
		return spec{}, err
	}
	n, err := strconv.Atoi(f[4])
	if err != nil || n < 0 || 5+n > len(f) {
		return spec{}, errors.New("the spec is not whole")
	}
	return spec{path: f[0], dir: f[1], leftoverGrace: grace, input: input, args: f[5 : 5+n], env: f[5+n:]}, nil
}
