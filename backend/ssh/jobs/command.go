package jobs

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/internal/layer"
)

// Run is what a program does that is put on a far machine and called there with
// "jobs" and these arguments, as azml is:
//
//	serve DIR             Serve, until in ends, with the engines
//	attend DIR            Attend
//	hold DIR REQUEST END  Hold, with a copy of the job's output on out
//	layer SOCKET SCRIPT   layer.Run, without what Hold keeps in the folder of the socket
//	verify DIGEST         tells whether this program has the SHA-256, in hexadecimal digits
//
// Errors: ErrInvalid, Ended for a script, and those of Serve, Attend, Hold and Verify.
func Run(ctx context.Context, args []string, in io.ReadCloser, out io.WriteCloser, engines ...backend.ComputeDriver) error {
	switch {
	case len(args) == 2 && args[0] == "serve":
		return Serve(ctx, args[1], in, out, engines...)
	case len(args) == 2 && args[0] == "attend":
		return Attend(ctx, args[1], in, out)
	case len(args) == 4 && args[0] == "hold":
		return Hold(ctx, args[1], args[2], args[3], out) //nolint:gosec // there are four
	case len(args) == 3 && args[0] == "layer":
		code, err := layer.Run(ctx, args[2], args[1], []string{filepath.Dir(args[1])}, in, out)
		if err == nil && code != 0 {
			err = Ended{code}
		}
		return err
	case len(args) == 2 && args[0] == "verify":
		path, err := os.Executable()
		if err != nil {
			return classify(err)
		}
		return Verify(path, args[1])
	}
	return fmt.Errorf("%w: want \"serve DIR\", \"attend DIR\", \"hold DIR REQUEST END\", \"layer SOCKET SCRIPT\" or \"verify DIGEST\"; this command is for other programs", azml.ErrInvalid)
}
