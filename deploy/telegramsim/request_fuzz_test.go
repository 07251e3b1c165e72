package telegramsim

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzRequest holds that whatever a client sends is answered in the Bot API's
// form, and that the chats can still be shown.
func FuzzRequest(f *testing.F) {
	const kind = "application/json"
	f.Add("sendMessage", kind, `{"chat_id":-4001,"text":"<b>x</b>","parse_mode":"HTML"}`)
	f.Add("sendMessage", kind, `{"chat_id":-4001,"text":"🔴 x","entities":[{"type":"bold","offset":1,"length":3},{"type":"code","offset":3,"length":1}]}`)
	f.Add("sendMessage", kind, `{"chat_id":-4001,"text":"x","reply_markup":{"inline_keyboard":[[{"text":"a","callback_data":"b"}],[]]}}`)
	f.Add("sendMessage", kind, `{"chat_id":"-4001","text":"x","reply_parameters":"{\"message_id\":1}","message_thread_id":null}`)
	f.Add("editMessageText", kind, `{"chat_id":-4001,"message_id":"1","text":"y"}`)
	f.Add("editMessageReplyMarkup", kind, `{"chat_id":-4001,"message_id":1,"reply_markup":"{}"}`)
	f.Add("deleteMessage", "application/x-www-form-urlencoded", "chat_id=-4001&message_id=1")
	f.Add("sendDocument", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"document\"; filename=\"a.txt\"\r\n\r\nx\r\n--b\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n-4001\r\n--b--\r\n")
	f.Add("setMyCommands", kind, `{"commands":[{"command":"a","description":"b"}],"scope":{"type":"chat","chat_id":-4001}}`)
	f.Add("getUpdates", kind, `{"offset":-1,"limit":5,"allowed_updates":["message"]}`)
	f.Fuzz(func(t *testing.T, method, contentType, body string) {
		s := New(Options{Token: "1:t", Limits: Limits{Off: true}, Chats: []Chat{{ID: -4001}}})
		defer s.Close()
		if _, err := s.Type(-4001, Written{Text: "/x"}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if strings.EqualFold(method, "getUpdates") {
				break // may wait by design
			}
			r := httptest.NewRequest(http.MethodPost, "/bot1:t/", strings.NewReader(body))
			r.URL.Path += method
			r.Header.Set("Content-Type", contentType)
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			var a answer
			if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
				t.Fatalf("status %d, %q: %v", w.Code, w.Body, err)
			}
			if a.OK != (w.Code == http.StatusOK) || !a.OK && a.Description == "" {
				t.Fatalf("status %d with %s", w.Code, w.Body)
			}
		}
		for _, m := range s.Messages(-4001) {
			if _, err := parseHTML(m.HTML); err != nil {
				t.Fatalf("shows %q: %v", m.HTML, err)
			}
		}
	})
}
