package s3

import (
	"context"
	"fmt"
	"mime"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// longestSigned is how long S3 takes a signed URL.
const longestSigned = 7 * 24 * time.Hour

var _ backend.Signer = (*Store)(nil)

// Sign makes a signed URL for reading or writing one object. A reader saves it
// under the last part of its name. Errors: ErrUnsupported for a folder; ErrInvalid
// beyond seven days.
func (s *Store) Sign(ctx context.Context, key string, opts *backend.SignOptions) (string, error) {
	switch {
	case strings.HasSuffix(key, "/"):
		return "", fmt.Errorf("%w: a URL can be for one file but not for a folder of a bucket", azml.ErrUnsupported)
	case opts.Expires <= 0 || opts.Expires > longestSigned:
		return "", fmt.Errorf("%w: a URL can be good for up to seven days, not %s", azml.ErrInvalid, opts.Expires)
	case opts.Write:
		u, err := s.client.PresignedPutObject(ctx, s.bucket, s.prefix+key, opts.Expires)
		return textOf(u), s.fail(ctx, err)
	}
	name := url.Values{"response-content-disposition": {mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(key)})}}
	u, err := s.client.PresignedGetObject(ctx, s.bucket, s.prefix+key, opts.Expires, name)
	return textOf(u), s.fail(ctx, err)
}

func textOf(u *url.URL) string {
	if u == nil {
		return ""
	}
	return u.String()
}
