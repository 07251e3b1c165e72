package telegramsim

import (
	"fmt"
	"mime"
	"net/http"
	"path"
	"strings"
)

const (
	// maxDownload is the largest file that a bot gets back.
	maxDownload = 20 << 20
	// keptBytes bounds the memory for files; the oldest are forgotten first.
	keptBytes = 256 << 20
)

// document is a file that was sent. Its message lives on when its content is
// forgotten.
type document struct {
	fileID, uniqueID, path string
	name, mime             string
	size                   int
	data                   []byte
}

func (d *document) wire() *wireDocument {
	return &wireDocument{
		FileName: d.name, MIME: d.mime, FileID: d.fileID, FileUniqueID: d.uniqueID, FileSize: d.size,
	}
}

// fileStore keeps the content of documents.
type fileStore struct {
	next  int
	bytes int
	order []*document
	byKey map[string]*document // by file id, unique id and path
}

func (f *fileStore) init() { f.byKey = map[string]*document{} }

func (f *fileStore) keep(d *document) {
	if d.fileID != "" {
		return // sent again by its id
	}
	f.next++
	d.fileID = fmt.Sprintf("BQACAgUAAxkDAAI%06dZmlsZQ", f.next)
	d.uniqueID = fmt.Sprintf("AgAD%06d", f.next)
	d.path = fmt.Sprintf("documents/file_%d%s", f.next, path.Ext(d.name))
	for _, key := range []string{d.fileID, d.uniqueID, d.path} {
		f.byKey[key] = d
	}
	f.order = append(f.order, d)
	f.bytes += d.size
	for f.bytes > keptBytes && len(f.order) > 1 {
		oldest := f.order[0]
		f.order = f.order[1:]
		f.bytes -= oldest.size
		oldest.data = nil
		for _, key := range []string{oldest.fileID, oldest.uniqueID, oldest.path} {
			delete(f.byKey, key)
		}
	}
}

// documentOf is the file that a call brings, or names by its id.
func (s *Server) documentOf(p *call) (*document, *failure) {
	field := "document"
	if name, ok := strings.CutPrefix(p.text(field), "attach://"); ok {
		field = name
	}
	if file, ok := p.files[field]; ok {
		if len(file.data) == 0 {
			return nil, badRequest("file must be non-empty")
		}
		return newDocument(file), nil
	}
	ref := p.text("document")
	if ref == "" || field != "document" {
		return nil, badRequest("there is no document in the request")
	}
	if d := s.files.byKey[ref]; d != nil && d.fileID == ref {
		return d, nil
	}
	return nil, badRequest("wrong file identifier/HTTP URL specified")
}

func newDocument(file upload) *document {
	d := &document{name: file.name, mime: mime.TypeByExtension(path.Ext(file.name)), size: len(file.data), data: file.data}
	if d.name == "" {
		d.name = "document"
	}
	if d.mime == "" {
		d.mime = "application/octet-stream"
	}
	d.mime, _, _ = strings.Cut(d.mime, ";")
	return d
}

func (s *Server) getFile(p *call) (any, *failure) {
	id := p.text("file_id")
	if id == "" {
		return nil, badRequest("file_id is empty")
	}
	d := s.files.byKey[id]
	switch {
	case d == nil || d.fileID != id:
		return nil, errFileUnavailable
	case d.size > maxDownload:
		return nil, badRequest("file is too big")
	}
	w := d.wire()
	w.FileName, w.MIME, w.FilePath = "", "", d.path
	return w, nil
}

// serveFile is the bot's download: /file/bot<token>/<path>.
func (s *Server) serveFile(w http.ResponseWriter, rest string) {
	token, name, _ := strings.Cut(rest, "/")
	if token != s.opts.Token {
		writeResult(w, nil, errUnauthorized)
		return
	}
	d := s.storedFile(name)
	if d == nil || d.path != name {
		writeResult(w, nil, errNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(d.data)
}

// Content is what a document holds; nothing once it is forgotten.
func (s *Server) Content(d Document) []byte {
	if stored := s.storedFile(d.ID); stored != nil {
		return stored.data
	}
	return nil
}

// storedFile is a copy, so that its content stays when the store forgets it.
func (s *Server) storedFile(key string) *document {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.files.byKey[key]; d != nil {
		copied := *d
		return &copied
	}
	return nil
}
