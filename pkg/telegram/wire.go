package telegram

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	tele "gopkg.in/telebot.v3"

	"datawatch/pkg/config"
)

const (
	callTimeout = 20 * time.Second // of one request; a document may take longer
	fileTimeout = 2 * time.Minute
	pollTimeout = 50 * time.Second // that getUpdates waits on Telegram's side
)

// envelope is one send or edit as it goes over the wire.
type envelope struct {
	chat     int64
	thread   int
	edit     int // the id of the message to edit, or 0
	message  Message
	document *Document
	plain    bool // without formatting
}

// wire carries envelopes: to Telegram, or to the log.
type wire interface {
	carry(e envelope) (id int, err error)
}

// bots speak to Telegram. Each has a client of its own, because the library knows no timeout a call.
type bots struct {
	short, files, long *tele.Bot
	transport          *transport
}

func newBots(ctx context.Context, c config.Telegram, base http.RoundTripper) (*bots, error) {
	t, err := newTransport(ctx, c, base)
	if err != nil {
		return nil, err
	}
	made := [3]*tele.Bot{}
	for i, timeout := range []time.Duration{callTimeout, fileTimeout, pollTimeout + callTimeout} {
		made[i], err = tele.NewBot(tele.Settings{
			URL: strings.TrimRight(c.APIURL, "/"), Token: placeholder, Offline: true,
			Client: &http.Client{
				Transport: t, Timeout: timeout,
				CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			},
		})
		if err != nil {
			return nil, fmt.Errorf("telegram client: %w", err)
		}
	}
	return &bots{short: made[0], files: made[1], long: made[2], transport: t}, nil
}

// close lets go of connections that are kept for the next request.
func (b *bots) close() {
	if base, ok := b.transport.base.(*http.Transport); ok {
		base.CloseIdleConnections()
	}
}

func (b *bots) carry(e envelope) (int, error) {
	if e.document != nil {
		return b.carryDocument(e)
	}
	params := map[string]string{
		"chat_id":                  strconv.FormatInt(e.chat, 10),
		"text":                     e.message.Plain(),
		"disable_web_page_preview": "true",
	}
	if !e.plain {
		params["text"], params["parse_mode"] = e.message.HTML(), tele.ModeHTML
	}
	keys, err := keyboardOf(e.message.Buttons)
	if err != nil {
		return 0, err
	}
	if len(keys.Rows) > 0 {
		text, err := json.Marshal(keys)
		if err != nil {
			return 0, fmt.Errorf("write buttons: %w", err)
		}
		params["reply_markup"] = string(text)
	}
	method := "sendMessage"
	if e.edit != 0 {
		method = "editMessageText"
		params["message_id"] = strconv.Itoa(e.edit)
	} else {
		e.embedPlace(params)
	}
	data, err := b.short.Raw(method, params)
	if err != nil {
		return 0, err
	}
	return messageID(data)
}

// embedPlace says where in the chat a new message goes, and how loudly.
func (e envelope) embedPlace(params map[string]string) {
	if e.thread != 0 {
		params["message_thread_id"] = strconv.Itoa(e.thread)
	}
	if e.message.Silent {
		params["disable_notification"] = "true"
	}
	if e.message.ReplyTo != 0 {
		params["reply_to_message_id"] = strconv.Itoa(e.message.ReplyTo)
		params["allow_sending_without_reply"] = "true"
	}
}

func (b *bots) carryDocument(e envelope) (int, error) {
	options := &tele.SendOptions{DisableNotification: e.message.Silent, ThreadID: e.thread, AllowWithoutReply: true}
	if e.message.ReplyTo != 0 {
		options.ReplyTo = &tele.Message{ID: e.message.ReplyTo}
	}
	document := &tele.Document{
		File: tele.FromReader(bytes.NewReader(e.document.Content)), FileName: e.document.Name,
		Caption: plainText(e.message.fitting(maxCaption)),
	}
	if !e.plain {
		options.ParseMode = tele.ModeHTML
		document.Caption = html(e.message.fitting(maxCaption))
	}
	sent, err := b.files.Send(tele.ChatID(e.chat), document, options)
	if err != nil {
		return 0, err
	}
	return sent.ID, nil
}

// messageID reads the id out of a successful answer; an answer without one is not Telegram's.
func messageID(data []byte) (int, error) {
	var answer struct {
		OK     bool `json:"ok"`
		Result struct {
			ID int `json:"message_id"`
		} `json:"result"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return 0, fmt.Errorf("read telegram's answer: %w", err)
	}
	if !answer.OK || answer.Result.ID == 0 {
		return 0, fmt.Errorf("read telegram's answer: no message in it")
	}
	return answer.Result.ID, nil
}

// logWire is for a configuration without a token: what would be sent is logged.
type logWire struct {
	log  *slog.Logger
	last atomic.Int64
}

func (w *logWire) carry(e envelope) (int, error) {
	entry := []any{"chat", e.chat, "text", e.message.Plain()}
	if e.document != nil {
		entry = append(entry, "document", e.document.Name, "bytes", len(e.document.Content))
	}
	if e.edit != 0 {
		w.log.Info("telegram message edited", append(entry, "message", e.edit)...)
		return e.edit, nil
	}
	id := int(w.last.Add(1))
	w.log.Info("telegram message", append(entry, "message", id)...)
	return id, nil
}
