/** The pages about agents, in the order of their tabs. */
export const agentRooms = [
  { to: '/agents', name: 'Agents', about: 'Who may borrow, and what they hold' },
  { to: '/agents/reach', name: 'Reach', about: 'Where an agent could send which secrets' },
  { to: '/agents/egress', name: 'Egress', about: 'What left the sandboxes, and what was refused' },
  { to: '/agents/sandboxes', name: 'Sandboxes', about: 'What runs now, and what it uses' },
] as const
