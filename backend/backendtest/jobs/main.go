// Command jobs is the program that drivers put on their targets, as azml is, and
// nothing else: it is built and brought there sooner.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/azml-go/azml/backend/ssh/jobs"
)

func main() {
	err := errors.New(`usage: jobs jobs …, as "azml jobs"`)
	if len(os.Args) > 1 && os.Args[1] == "jobs" {
		err = jobs.Run(context.Background(), os.Args[2:], os.Stdin, os.Stdout)
	}
	if ended, ok := errors.AsType[jobs.Ended](err); ok {
		os.Exit(ended.Code)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
