// Command azml uses a workspace from a shell: it submits and watches runs,
// registers models, deploys endpoints and looks after the workspace itself.
//
//	azml init
//	azml run submit -e churn --script train.py -- --lr 0.1
//	azml model register --name churn --run RUN --asset-path outputs/model.json
//
// It has no state of its own. Everything that shows something takes -o json or
// -o yaml; errors go to the standard error as one line. The exit code is 0 when
// all went well, 1 when it did not, 2 for wrong usage and 130 after Ctrl-C or
// for a run that was canceled.
package main

import (
	"context"
	"os"

	"github.com/azml-go/azml/internal/interrupt"
)

func main() {
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, interrupts: interrupt.Notice(os.Exit)}
	os.Exit(a.run(context.Background(), os.Args[1:]))
}
