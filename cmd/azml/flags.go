package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/environment"
)

// pairs is a flag that takes KEY=VALUE and can be given many times. Unlike
// pflag's own it takes a value with commas as it is.
type pairs struct {
	values  map[string]string
	bare    func(key string) (string, error) // what a KEY alone means
	example string
}

// Set takes one pair.
func (p *pairs) Set(text string) error {
	key, value, ok := strings.Cut(text, "=")
	if key == "" {
		return fmt.Errorf("want KEY=VALUE")
	}
	if !ok {
		var err error
		if value, err = p.bare(key); err != nil {
			return err
		}
	}
	if p.values == nil {
		p.values = map[string]string{}
	}
	p.values[key] = value
	return nil
}

// String gives the pairs in one line.
func (p *pairs) String() string { return labels(p.values) }

// Type names the form in help texts.
func (p *pairs) Type() string { return p.example }

// tagsFlag takes tags to be set.
func tagsFlag(cmd *cobra.Command, name, help string) *pairs {
	p := &pairs{example: "KEY=VALUE", bare: func(string) (string, error) { return "", nil }}
	cmd.Flags().Var(p, name, help+" (repeatable)")
	return p
}

// filterFlag takes tags that things must have; a KEY alone matches any value.
func filterFlag(cmd *cobra.Command, name, help string) *pairs {
	p := tagsFlag(cmd, name, help)
	p.example = "KEY[=VALUE]"
	return p
}

// variablesFlag takes environment variables; a KEY alone passes this process's
// own on, so that a secret doesn't have to be on the command line.
func variablesFlag(cmd *cobra.Command) *pairs {
	p := &pairs{example: "KEY[=VALUE]", bare: func(key string) (string, error) {
		value, ok := os.LookupEnv(key)
		if !ok {
			return "", fmt.Errorf("the variable %s is not set here: give %s=VALUE", key, key)
		}
		return value, nil
	}}
	cmd.Flags().Var(p, "env", "environment variable of the script; KEY alone passes on its value from here (repeatable)")
	return p
}

// environmentFlags say what Python environment a script needs.
type environmentFlags struct{ requirements, conda, environment string }

func (f *environmentFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.requirements, "requirements", "r", "", "requirements file of pip")
	cmd.Flags().StringVar(&f.conda, "conda", "", "conda environment file")
	cmd.Flags().StringVar(&f.environment, "environment", "", "registered environment, NAME or NAME:VERSION")
	cmd.MarkFlagsMutuallyExclusive("requirements", "conda", "environment")
}

// given tells whether any of the flags was used.
func (f *environmentFlags) given() bool { return f.requirements+f.conda+f.environment != "" }

// spec gives the environment, the zero Spec when none was named.
func (f *environmentFlags) spec() (environment.Spec, error) {
	switch {
	case f.requirements != "":
		return environment.FromRequirements("", f.requirements)
	case f.conda != "":
		return environment.FromCondaFile("", f.conda)
	case f.environment != "":
		name, version, _ := strings.Cut(f.environment, ":")
		return environment.Reference(name, version), nil
	}
	return environment.Spec{}, nil
}

// changed gives a pointer to the flag's value when it was used, else nil.
func changed(cmd *cobra.Command, name string, value *string) *string {
	if !cmd.Flags().Changed(name) {
		return nil
	}
	return value
}
