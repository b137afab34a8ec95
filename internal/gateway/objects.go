package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

var _ backend.Objects = (*Client)(nil)

// Get implements backend.Objects.
func (c *Client) Get(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
	answer, err := c.do(ctx, "get", url.Values{"key": {key}, "offset": {strconv.FormatInt(opts.Offset, 10)}, "length": {strconv.FormatInt(opts.Length, 10)}}, nil)
	if err != nil {
		return nil, err
	}
	info, err := infoOf(key, answer.Header)
	if err != nil {
		_ = answer.Body.Close()
		return nil, err
	}
	return &backend.Object{Info: info, Body: &download{ctx, answer.Body}}, nil
}

func infoOf(key string, h http.Header) (backend.Info, error) {
	size, err := strconv.ParseInt(h.Get(sizeHeader), 10, 64)
	if err != nil {
		return backend.Info{}, fmt.Errorf("%w: the gateway's answer has no size: %w", azml.ErrUnavailable, err)
	}
	modified, err := time.Parse(time.RFC3339Nano, h.Get(modifiedHeader))
	if err != nil {
		return backend.Info{}, fmt.Errorf("%w: the gateway's answer has no time: %w", azml.ErrUnavailable, err)
	}
	created := time.Time{}
	if text := h.Get(createdHeader); text != "" {
		if created, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return backend.Info{}, fmt.Errorf("%w: the gateway's answer has no time: %w", azml.ErrUnavailable, err)
		}
	}
	return backend.Info{Key: key, Size: size, ETag: backend.ETag(h.Get("ETag")), Modified: modified, Created: created}, nil
}

// download is the body of an answer.
type download struct {
	ctx context.Context //nolint:containedctx // of the call whose answer this is
	io.ReadCloser
}

// Read implements io.Reader.
func (d *download) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // the end itself, and no error about it
		err = lost(d.ctx, err)
	}
	return n, err
}

// Put implements backend.Objects.
func (c *Client) Put(ctx context.Context, key string, content backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	if err := opts.Wait(); err != nil {
		return backend.Info{}, err
	}
	query := url.Values{"key": {key}, "ifMatch": {string(opts.IfMatch)}}
	if opts.IfNoneMatch {
		query.Set("ifNoneMatch", "*")
	}
	info, err := ask[wireInfo](ctx, c, "put", query, newUpload(content))
	return info.info(), err
}

// Append implements backend.Objects.
func (c *Client) Append(ctx context.Context, key string, offset int64, data []byte) (backend.Info, error) {
	info, err := ask[wireInfo](ctx, c, "append", url.Values{"key": {key}, "offset": {strconv.FormatInt(offset, 10)}}, newUpload(bytes.NewReader(data)))
	return info.info(), err
}

// Stat implements backend.Objects.
func (c *Client) Stat(ctx context.Context, key string) (backend.Info, error) {
	info, err := ask[wireInfo](ctx, c, "stat", url.Values{"key": {key}}, nil)
	return info.info(), err
}

// Delete implements backend.Objects.
func (c *Client) Delete(ctx context.Context, key string, opts *backend.DeleteOptions) error {
	_, err := ask[struct{}](ctx, c, "delete", url.Values{"key": {key}, "ifMatch": {string(opts.IfMatch)}}, nil)
	return err
}

// List implements backend.Objects. What the token may not read is left out.
func (c *Client) List(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
	return func(yield func(backend.Info, error) bool) {
		answer, err := c.do(ctx, "list", url.Values{"prefix": {opts.Prefix}, "delimiter": {opts.Delimiter}, "startAfter": {opts.StartAfter}}, nil)
		if err != nil {
			yield(backend.Info{}, err)
			return
		}
		defer answer.Body.Close()
		lines := json.NewDecoder(answer.Body)
		for {
			var line wireInfo
			err := lines.Decode(&line)
			switch {
			case err != nil:
				err = lost(ctx, fmt.Errorf("cut off: %w", err))
			case line.Error != nil:
				err = line.Error
			case line.End:
				return
			}
			if !yield(line.info(), err) || err != nil {
				return
			}
		}
	}
}
