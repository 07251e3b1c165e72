package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/IBM/sarama"

	"datawatch/pkg/config"
)

// Member is a seat in a group of processes that share work which isn't partitions. The broker's group membership tells
// who is there: who leaves is missed at once, who is killed or cut off after SessionTimeout. One member, the broker's
// choice, says who does what (Share); the contents of descriptions and shares are the caller's.
//
// A member that can't hear the broker has lost its share when others may have got it, and is told so (Lost). That, too,
// is no proof against a process that was paused: whoever writes must be fenced by its transactional id.
type Member struct {
	Broker config.Broker
	Name   string // the client id
	Group  string

	// Describe is what this member says of itself whenever the group is put in order.
	Describe func() []byte
	// Share divides the work among the members, of which it gets the descriptions.
	Share func(members map[string][]byte) map[string][]byte
	// Assigned is told this member's share; it must not block.
	Assigned func(share []byte)
	// Lost is told that the member has no share any more, and why; it must not block.
	Lost func(reason error)
	// Again has the group put in order once more, since what Describe says has changed.
	Again <-chan struct{}

	Log *slog.Logger
}

// How long a group waits for a silent member: the least that brokers allow by default (group.min.session.timeout.ms).
const (
	// SessionTimeout is how long a member may be silent before its work is given to others.
	SessionTimeout   = 6 * time.Second
	rebalanceTimeout = 6 * time.Second
	heartbeatEvery   = time.Second
	leaveTimeout     = 3 * time.Second
	groupProtocol    = "datawatch"
)

// Run holds the seat until ctx is done, leaves the group, and returns ctx's error. A broker that is away is waited for.
func (m Member) Run(ctx context.Context) error {
	if m.Log == nil {
		m.Log = slog.New(slog.DiscardHandler)
	}
	s := &seat{Member: m}
	defer s.leave(ctx)
	pause := firstPause
	for {
		began := time.Now()
		err := s.sit(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Since(began) > SessionTimeout {
			pause = firstPause
		}
		s.Log.Debug("group membership", "group", s.Group, "error", err, "pause", pause)
		if err := s.wait(ctx, pause/2+rand.N(pause), err); err != nil {
			return err
		}
		pause = min(2*pause, heartbeatEvery)
	}
}

// seat is a member at work.
type seat struct {
	Member
	id         string
	generation int32
	held       bool      // has a share
	alive      time.Time // when a call was made that the coordinator has answered
}

// wait pauses, and gives the share up when the time has come.
func (s *seat) wait(ctx context.Context, d time.Duration, reason error) error {
	s.expire(SessionTimeout, reason)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func (s *seat) expire(after time.Duration, reason error) {
	if s.held && time.Since(s.alive) >= after {
		s.lose(reason)
	}
}

func (s *seat) lose(reason error) {
	if s.held {
		s.held = false
		s.Lost(reason)
	}
}

// sit joins over one connection, again and again, until that fails.
func (s *seat) sit(ctx context.Context) error {
	c, err := ClientConfig(s.Broker.Cluster, s.Name)
	if err != nil {
		return err
	}
	c.Net.ReadTimeout = SessionTimeout + rebalanceTimeout + 3*time.Second
	c.Metadata.Retry.Max = 1
	p := newPatience(c)
	defer p.lose()
	defer context.AfterFunc(ctx, p.lose)()
	var coordinator *sarama.Broker
	err = s.call(SessionTimeout, func() error {
		client, err := sarama.NewClient(s.Broker.Addresses, c)
		if err != nil {
			return fmt.Errorf("connect: %w", err)
		}
		context.AfterFunc(p.held, func() { _ = client.Close() }) // it says only that it wasn't open
		coordinator, err = client.Coordinator(s.Group)
		return err
	})
	if err != nil {
		return fmt.Errorf("find the coordinator of group %s: %w", s.Group, err)
	}
	for {
		err := s.join(coordinator)
		if err == nil {
			err = s.beat(ctx, coordinator)
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil, errors.Is(err, sarama.ErrRebalanceInProgress), errors.Is(err, sarama.ErrMemberIdRequired):
		case errors.Is(err, sarama.ErrUnknownMemberId), errors.Is(err, sarama.ErrIllegalGeneration):
			s.id = "" // it was given up: others have its share
			s.lose(err)
		default:
			return err
		}
	}
}

// join takes part in putting the group in order, and learns this member's share.
func (s *seat) join(coordinator *sarama.Broker) error {
	request := &sarama.JoinGroupRequest{
		Version: 5, GroupId: s.Group, MemberId: s.id, ProtocolType: groupProtocol,
		SessionTimeout: int32(SessionTimeout.Milliseconds()), RebalanceTimeout: int32(rebalanceTimeout.Milliseconds()),
		OrderedGroupProtocols: []*sarama.GroupProtocol{{Name: groupProtocol, Metadata: s.Describe()}},
	}
	var joined *sarama.JoinGroupResponse
	err := s.call(SessionTimeout+rebalanceTimeout, func() (err error) {
		joined, err = coordinator.JoinGroup(request)
		return err
	})
	if err != nil {
		return fmt.Errorf("join group %s: %w", s.Group, err)
	}
	if joined.MemberId != "" {
		s.id = joined.MemberId
	}
	if !errors.Is(joined.Err, sarama.ErrNoError) {
		return joined.Err
	}
	s.generation = joined.GenerationId
	sync := &sarama.SyncGroupRequest{Version: 3, GroupId: s.Group, GenerationId: s.generation, MemberId: s.id}
	if joined.LeaderId == s.id {
		members := make(map[string][]byte, len(joined.Members))
		for _, m := range joined.Members {
			members[m.MemberId] = m.Metadata
		}
		shares := s.Share(members)
		for id := range members { // a share of nothing is empty: with null the broker hangs up, and nobody gets one
			share := append([]byte{}, shares[id]...)
			sync.GroupAssignments = append(sync.GroupAssignments, sarama.SyncGroupRequestAssignment{MemberId: id, Assignment: share})
		}
	}
	sent := time.Now()
	var synced *sarama.SyncGroupResponse
	err = s.call(SessionTimeout+rebalanceTimeout, func() (err error) {
		synced, err = coordinator.SyncGroup(sync)
		return err
	})
	if err != nil {
		return fmt.Errorf("share in group %s: %w", s.Group, err)
	}
	if !errors.Is(synced.Err, sarama.ErrNoError) {
		return synced.Err
	}
	s.alive, s.held = sent, true
	s.Assigned(synced.MemberAssignment)
	return nil
}

// beat keeps the seat until the group is to be put in order again.
func (s *seat) beat(ctx context.Context, coordinator *sarama.Broker) error {
	ticker := time.NewTicker(heartbeatEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.Again:
			return nil
		case <-ticker.C:
		}
		sent := time.Now()
		var response *sarama.HeartbeatResponse
		err := s.call(SessionTimeout, func() (err error) {
			response, err = coordinator.Heartbeat(&sarama.HeartbeatRequest{Version: 3, GroupId: s.Group, GenerationId: s.generation, MemberId: s.id})
			return err
		})
		if err != nil {
			return fmt.Errorf("heartbeat of group %s: %w", s.Group, err)
		}
		switch {
		case errors.Is(response.Err, sarama.ErrNoError):
			s.alive = sent
		case errors.Is(response.Err, sarama.ErrRebalanceInProgress):
			s.alive = sent
			return nil
		default:
			return response.Err
		}
	}
}

// call waits for the broker; the share is lost meanwhile when nothing was heard for limit.
func (s *seat) call(limit time.Duration, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	for {
		var lost <-chan time.Time
		if s.held {
			lost = time.After(time.Until(s.alive.Add(limit)))
		}
		select {
		case err := <-done:
			s.expire(limit, err)
			return err
		case <-lost:
			s.lose(errors.New("the broker has not answered in time"))
		}
	}
}

// leave gives the seat up, so that nobody waits for this member. It goes by a connection of its own: the others may be
// waiting for an answer.
func (s *seat) leave(ctx context.Context) {
	s.lose(context.Cause(ctx))
	if s.id == "" {
		return
	}
	c, err := ClientConfig(s.Broker.Cluster, s.Name)
	if err != nil {
		return // Run has said so
	}
	c.Metadata.Retry.Max = 1
	p := newPatience(c)
	defer p.lose()
	defer p.during(context.Background(), leaveTimeout)()
	client, err := sarama.NewClient(s.Broker.Addresses, c)
	if err == nil {
		defer func() { _ = client.Close() }() // it says only that it wasn't open
		var coordinator *sarama.Broker
		if coordinator, err = client.Coordinator(s.Group); err == nil {
			_, err = coordinator.LeaveGroup(&sarama.LeaveGroupRequest{
				Version: 3, GroupId: s.Group, Members: []sarama.MemberIdentity{{MemberId: s.id}},
			})
		}
	}
	if err != nil {
		s.Log.Debug("leave group; it is missed when it was silent for long enough", "group", s.Group, "error", err)
	}
}
