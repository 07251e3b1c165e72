package telegram

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// ErrTooLarge says that a file is larger than was asked for.
var ErrTooLarge = errors.New("the file is too large")

// Download gives the content of a file that a person sent, of at most so many bytes
// (https://core.telegram.org/bots/api#getfile; Telegram gives bots at most 20 MB). Without a token there are no files.
func (c *Client) Download(ctx context.Context, f File, most int64) ([]byte, error) {
	switch {
	case c.bots == nil:
		return nil, errors.New("download: there is no token")
	case f.Size > most:
		return nil, fmt.Errorf("download %s of %d bytes: %w", f.Name, f.Size, ErrTooLarge)
	}
	data, err := c.bots.short.Raw("getFile", map[string]string{"file_id": f.ID})
	if err != nil {
		return nil, fmt.Errorf("download: %w", err)
	}
	var got struct {
		Result struct {
			Path string `json:"file_path"`
		}
	}
	if err := json.Unmarshal(data, &got); err != nil {
		return nil, fmt.Errorf("download: read telegram's answer: %w", err)
	}
	if got.Result.Path == "" {
		return nil, errors.New("download: telegram names no path of the file")
	}
	place := strings.TrimRight(c.options.Config.APIURL, "/") + filePath + placeholder + "/" + (&url.URL{Path: got.Result.Path}).EscapedPath()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, place, nil)
	if err != nil {
		return nil, fmt.Errorf("download: %w", err)
	}
	client := &http.Client{Transport: c.bots.transport, Timeout: fileTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // without the address
		}
		return nil, fmt.Errorf("download: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("download: HTTP %d", response.StatusCode)
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, most+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("download: %w", err)
	case int64(len(content)) > most:
		return nil, fmt.Errorf("download %s: %w", f.Name, ErrTooLarge)
	}
	return content, nil
}
