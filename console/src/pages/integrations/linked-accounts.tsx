import { api, type ChannelAccountView } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { Link2, Unlink } from 'lucide-react'
import { useState } from 'react'
import { channelAccountsQuery } from '../../api/channel-queries.ts'
import { call } from '../../api/index.ts'
import { Button, IconButton } from '../../ui/button.tsx'
import { ConfirmDialog } from '../../ui/confirm-dialog.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Failure } from '../../ui/notice.tsx'
import { Sheet } from '../../ui/page.tsx'
import { ShownOnce } from '../../ui/shown-once.tsx'
import { Time } from '../../ui/time.tsx'
import { useAnnouncedChange } from '../../ui/use-announced-change.ts'

/** Who somebody is in a chat: linked by a code that the person sends from there, and by nothing else. */
export function LinkedAccounts() {
  const { data } = useQuery(channelAccountsQuery)
  const [code, setCode] = useState<string>()
  const link = useAnnouncedChange(
    {
      work: () => call(api.channels.link, {}),
      done: 'A code is shown',
      onDone: (made) => setCode(made.code),
    },
    ['channels'],
  )
  return (
    <section className="mt-8" aria-labelledby="linked-accounts">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <div>
          <h2 id="linked-accounts" className="text-base font-semibold">
            Linked accounts
          </h2>
          <p className="max-w-[40rem] text-pretty text-muted">
            Only you say which chat account is yours: send the code from there. Names and mail addresses link
            nothing.
          </p>
        </div>
        <Button icon={Link2} busy={link.isPending} onClick={() => link.mutate()}>
          Link my account
        </Button>
      </div>
      {link.error ? (
        <div className="mt-3">
          <Failure error={link.error} />
        </div>
      ) : null}
      {data && data.items.length > 0 ? (
        <div className="mt-3">
          <Sheet>
            <ul className="divide-y divide-line">
              {data.items.map((account) => (
                <AccountLine key={account.id} account={account} />
              ))}
            </ul>
          </Sheet>
        </div>
      ) : null}
      <Dialog
        open={code !== undefined}
        onClose={() => setCode(undefined)}
        title="Send this code from the chat"
      >
        <ShownOnce
          value={`/keyward link ${code ?? ''}`}
          label="Copy what you send"
          onClose={() => setCode(undefined)}
        >
          In Slack send this as it stands; in Teams write to the bot, without /keyward. It works once, within
          ten minutes.
        </ShownOnce>
      </Dialog>
    </section>
  )
}

function AccountLine({ account }: { account: ChannelAccountView }) {
  const [asking, setAsking] = useState(false)
  const { id: accountId, kind, workspace, personName } = account
  const unlink = useAnnouncedChange(
    {
      work: () => call(api.channels.unlink, { accountId }),
      done: `${personName} is parted from the account`,
      onDone: () => setAsking(false),
    },
    ['channels'],
  )
  return (
    <li className="flex flex-wrap items-center justify-between gap-x-4 gap-y-1 px-4 py-3">
      <div className="min-w-0">
        <p className="font-medium">{personName}</p>
        <p className="text-[0.8125rem] break-all text-muted">
          {kind === 'slack' ? 'Slack' : 'Teams'} <code>{account.account}</code> in <code>{workspace}</code> ·
          linked <Time at={account.linkedAt} />
        </p>
      </div>
      <IconButton
        icon={Unlink}
        label={`Part ${personName} from the account`}
        onClick={() => setAsking(true)}
      />
      <ConfirmDialog
        open={asking}
        onClose={() => setAsking(false)}
        title="Part the account?"
        description={`What is pressed in ${kind} as ${account.account} decides nothing any more.`}
        action="Part it"
        dismiss="Keep it"
        work={unlink}
      />
    </li>
  )
}
