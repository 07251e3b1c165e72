package mongodb

import (
	"encoding/json"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

// entry is the name of a deployment's only entry of progress.
const entry = ""

const progressVersion = 1

// progress is how far the change stream was read.
type progress struct {
	Version int         `json:"version"` // 1
	Epoch   event.Epoch `json:"epoch"`
	// Token is where the stream goes on, as BSON; until there is one, it begins at Start.
	Token []byte `json:"token,omitempty"`
	Start stamp  `json:"start"`
	// At and N are the last event's place, Time its time; Transaction and Index are those of the transaction it was of.
	At          stamp     `json:"at"`
	N           int64     `json:"n"`
	Time        time.Time `json:"time"`
	Transaction string    `json:"transaction,omitempty"`
	Index       int64     `json:"index,omitempty"`
	// Term is the election's from which the deployment was last found, and Witnesses are collections that were there then.
	Term      int64     `json:"term,omitempty"`
	Witnesses []witness `json:"witnesses,omitempty"`
	// Reading is the renamed collection that is being read, before the stream goes on.
	Reading *reading `json:"reading,omitempty"`
}

// reading is how far a collection was read.
type reading struct {
	Database   string `json:"database"`
	Collection string `json:"collection"`
	Last       []byte `json:"last,omitempty"` // BSON: {_id: …} of the last document that was read
}

// stamp is a cluster time: seconds since 1970, and a count within the second.
type stamp struct {
	T uint32 `json:"t"`
	I uint32 `json:"i"`
}

func (s stamp) before(t stamp) bool { return s.T < t.T || s.T == t.T && s.I < t.I }

func (s stamp) time() time.Time { return time.Unix(int64(s.T), 0).UTC() }

func (s stamp) next() *primitive.Timestamp { return &primitive.Timestamp{T: s.T, I: s.I + 1} }

// begin is progress that begins behind a cluster time.
func begin(now time.Time, previous event.Epoch, at stamp) progress {
	return progress{Version: progressVersion, Epoch: event.NewEpoch(now, previous), Start: at, At: at, Time: at.time()}
}

// parseProgress reads what was committed; nil where nothing was.
func parseProgress(p source.Progress) (*progress, error) {
	text := p[entry]
	if len(text) == 0 {
		return nil, nil
	}
	var read progress
	if err := json.Unmarshal(text, &read); err != nil {
		return nil, fmt.Errorf("read progress: %w", err)
	}
	if read.Version != progressVersion {
		return nil, reason.New(reason.NewerProgress.With(read.Version))
	}
	return &read, nil
}

func (p progress) source() (source.Progress, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("write progress: %w", err)
	}
	return source.Progress{entry: text}, nil
}

// place moves to the next event of a cluster time, and gives its position.
func (p *progress) place(at stamp) string {
	if at == p.At {
		p.N++
	} else {
		p.At, p.N = at, 0
	}
	return event.ClusterTimePosition(p.Epoch, at.T, at.I, p.N)
}

// index counts the events of a transaction ("" is none).
func (p *progress) index(transaction string) int64 {
	if transaction == "" || transaction != p.Transaction {
		p.Transaction, p.Index = transaction, 0
		return 0
	}
	p.Index++
	return p.Index
}

// resumed sets the token from which the stream goes on.
func (p *progress) resumed(token bson.Raw) {
	if token != nil {
		p.Token = token
	}
}
