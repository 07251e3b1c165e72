// Package life is the life of alerts as a pure machine: no clock, no I/O, no words. It is told what is known of each group
// at a moment, and what people decided; it says which messages with sound are owed, which groups share one message, and
// in which phase each is.
//
//	            first error                 none for a while
//	(nothing) ──────────────> Open ───────────────────────────> Quiet
//	                           ^  ^────────── another ────────────┘ │
//	          New, Back or     │                                    │
//	          Flapping is told │   no wrong row is left; or pressed,│
//	                           │   or quiet for days                v
//	                           └────────── it comes back ───────── Over
//
// Beside the phase a card says who acknowledged, until when it is muted, and until when it is accepted. What holds always:
//
//   - An open group has one message, its own or its incident's: New, Back and Flapping are owed only when a group opens.
//   - A chat gets Times.SoundMost messages with sound in Times.SoundWithin at most. One of them is kept for what is critical or
//     a trouble of our own, and another for what is both. Where there is no room, these come at once without a sound, alerts
//     in one message, and ring when there is room unless somebody has acknowledged them by then. What else must wait is
//     merged into one message when there is room, and never dropped.
//   - Troubles of our own and alerts don't share messages.
//   - A group with wrong rows is over when none is left, and not before, whatever people press.
//   - A group that is muted or accepted owes nothing.
//
// A Board is for one goroutine. Its cards are its whole state: a board that is made of them goes on where another stopped.
package life
