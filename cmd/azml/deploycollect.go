package main

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/endpoint"
)

// collectFlags say what a deployment keeps of its requests.
type collectFlags struct {
	collections []string
	to          endpoint.Collection
}

func (c *collectFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&c.collections, "collect", nil, "collect this, NAME or NAME=PERCENT: request, response, or what the script collects by azureml-ai-monitoring or, such as inputs and predictions, azureml-monitoring (repeatable)")
	f.StringVar(&c.to.Datastore, "collect-datastore", "", "datastore of what is collected (default: the default one)")
	f.StringVar(&c.to.Path, "collect-path", "", "folder there (default modeldata)")
}

// collection gives what is collected, nil for nothing.
func (c *collectFlags) collection() (*endpoint.Collection, error) {
	if len(c.collections) == 0 {
		if c.to.Datastore != "" || c.to.Path != "" {
			return nil, usage("say what to collect: --collect NAME[=PERCENT]")
		}
		return nil, nil
	}
	c.to.Percent = map[string]float64{}
	for _, one := range c.collections {
		name, share, given := strings.Cut(one, "=")
		percent := 100.0
		if given {
			var err error
			if percent, err = strconv.ParseFloat(strings.TrimSuffix(share, "%"), 64); err != nil {
				return nil, usage("--collect %q: write NAME or NAME=PERCENT, such as request=10", one)
			}
		}
		c.to.Percent[name] = percent
	}
	return &c.to, nil
}
