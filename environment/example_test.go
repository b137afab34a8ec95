package environment_test

import (
	"fmt"

	"github.com/azml-go/azml/environment"
)

// The same packages are the same environment, whatever it is called.
func Example() {
	ours := environment.Spec{Name: "churn", Python: environment.Python{Pip: []string{"numpy==1.26.4", "scipy"}}}
	theirs := environment.Spec{Name: "fraud", Python: environment.Python{Pip: []string{"SciPy", "numpy == 1.26.4"}}}
	fmt.Println(ours.Hash() == theirs.Hash())
	fmt.Println(environment.Reference("churn", "1").IsReference())
	// Output:
	// true
	// true
}
