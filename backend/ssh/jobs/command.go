package jobs

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/azml-go/azml"
)

// Run is what a program does that is put on a far machine and called there with
// "jobs" and these arguments, as azml is:
//
//	serve DIR             Serve, until in ends
//	hold DIR REQUEST END  Hold, with a copy of the job's output on out
//	verify DIGEST         tells whether this program has the SHA-256, in hexadecimal digits
//
// Errors: ErrInvalid, and those of Serve, Hold and Verify.
func Run(ctx context.Context, args []string, in io.ReadCloser, out io.WriteCloser) error {
	switch {
	case len(args) == 2 && args[0] == "serve":
		return Serve(ctx, args[1], in, out)
	case len(args) == 4 && args[0] == "hold":
		return Hold(ctx, args[1], args[2], args[3], out)
	case len(args) == 2 && args[0] == "verify":
		path, err := os.Executable()
		if err != nil {
			return classify(err)
		}
		return Verify(path, args[1])
	}
	return fmt.Errorf("%w: want \"serve DIR\", \"hold DIR REQUEST END\" or \"verify DIGEST\"; this command is for other programs", azml.ErrInvalid)
}
