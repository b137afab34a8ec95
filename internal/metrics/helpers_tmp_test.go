package metrics

import (
	"errors"

	"github.com/azml-go/azml"
)

func isConflict(err error) bool {
	return errors.Is(err, azml.ErrConflict) || errors.Is(err, azml.ErrExists)
}
