import { useState } from 'preact/hooks'
import { get, post, request } from '../api/client'
import { isName } from '../api/names'
import type { Page, Role, Token } from '../api/types'
import { now } from '../parts/clock'
import { ActDialog, Dialog } from '../parts/dialog'
import { Icon } from '../parts/icons'
import { Listing, Table, type Head } from '../parts/listing'
import { useLoad } from '../parts/load'
import { CopyButton, Empty, say, Time } from '../parts/small'
import { typed, zoneName } from '../parts/time'
import { zone } from '../shell/prefs'
import { may } from '../shell/session'
import { useTitle } from '../shell/title'
import { t } from '../texts'

const ROLES: readonly Role[] = ['reader', 'writer', 'operator', 'admin']

export function TokensView() {
  const words = t.value.tokens
  useTitle(t.value.nav.tokens)
  const [isMaking, setMaking] = useState(false)
  const [secret, setSecret] = useState<string | undefined>(undefined)
  const [revoking, setRevoking] = useState<Token | undefined>(undefined)
  const loaded = useLoad('tokens', (abort) => get<Page<Token>>('tokens', { limit: 500 }, abort))
  const items = loaded.value?.items ?? []
  if (!may('admin')) return <Empty title={t.value.needsRole('admin')} />
  const make = (
    <button type="button" class="primary" onClick={() => setMaking(true)}>
      <Icon name="plus" /> {words.make}
    </button>
  )
  const dialogs = (
    <>
      {isMaking && (
        <Make close={() => setMaking(false)} made={(text) => (setSecret(text), loaded.reload())} />
      )}
      {secret && (
        <Dialog title={words.made} onClose={() => setSecret(undefined)} isKept>
          <div class="stack">
            <p>{words.once}</p>
            <div class="code-lines secret">
              <pre>{secret}</pre>
              <CopyButton text={secret} label={t.value.copy} />
            </div>
          </div>
        </Dialog>
      )}
      {revoking && (
        <Revoke token={revoking} done={loaded.reload} close={() => setRevoking(undefined)} />
      )}
    </>
  )
  return (
    <Listing
      title={words.title}
      tools={make}
      loaded={loaded}
      isEmpty={items.length === 0}
      none={<Empty title={words.none} />}
      dialogs={dialogs}
    >
      <Tokens items={items} revoke={setRevoking} />
    </Listing>
  )
}

function Tokens({ items, revoke }: { items: Token[]; revoke: (token: Token) => void }) {
  const words = t.value.tokens
  const heads: Head[] = [
    words.name,
    words.role,
    t.value.facts.created,
    words.lastUse,
    words.ends,
    { text: words.revoke, is: 'unseen' },
  ]
  return (
    <Table label={words.title} heads={heads}>
      {items.map((token) => (
        <Line key={token.name} token={token} revoke={() => revoke(token)} />
      ))}
    </Table>
  )
}

function Line({ token, revoke }: { token: Token; revoke: () => void }) {
  const words = t.value.tokens
  const { name, role, createTime, createdBy, lastUseTime, expireTime, revokeTime } = token
  const isOver = revokeTime || (expireTime && Date.parse(expireTime) < now.value)
  return (
    <tr class={isOver ? 'over' : ''}>
      <td class="main-cell">
        <b>{name}</b>
      </td>
      <td data-label={words.role}>{t.value.roles[role]}</td>
      <td data-label={t.value.facts.created}>
        <span>
          <Time iso={createTime} /> <span class="muted">{createdBy}</span>
        </span>
      </td>
      <td data-label={words.lastUse}>
        <Time iso={lastUseTime} />
      </td>
      <td data-label={words.ends}>
        {revokeTime ? (
          <span>
            {words.revoked} <Time iso={revokeTime} />
          </span>
        ) : (
          <Time iso={expireTime} />
        )}
      </td>
      <td class="act-cell">
        {!revokeTime && (
          <button type="button" onClick={revoke}>
            {words.revoke}
          </button>
        )}
      </td>
    </tr>
  )
}

function Make({ close, made }: { close: () => void; made: (secret: string) => void }) {
  const words = t.value.tokens
  const [name, setName] = useState('')
  const [role, setRole] = useState<Role>('reader')
  const [ends, setEnds] = useState('')
  const expireTime = typed(ends, zone.value)
  const act = async () => {
    const answer = await post<{ secret: string }>('tokens', { name, role, expireTime })
    made(answer.secret)
  }
  const isReady = isName(name) && (ends === '' || expireTime !== undefined)
  return (
    <ActDialog
      title={words.make}
      doIt={words.makeIt}
      undo={words.makeUndo}
      isReady={isReady}
      act={act}
      onClose={close}
    >
      <label class="labelled">
        {words.name}
        <input
          type="text"
          value={name}
          placeholder="build-server"
          onInput={(event) => setName(event.currentTarget.value)}
        />
      </label>
      <fieldset class="choices">
        <legend>{words.role}</legend>
        {ROLES.map((one) => (
          <label key={one} class="choice">
            <input type="radio" name="role" checked={role === one} onChange={() => setRole(one)} />
            <span>
              {t.value.roles[one]}
              <br />
              <small class="muted">{words.may[one]}</small>
            </span>
          </label>
        ))}
      </fieldset>
      <label class="labelled">
        {words.endsAt} ({zoneName(now.value, zone.value)})
        <input
          type="text"
          placeholder="2027-01-01"
          value={ends}
          aria-invalid={ends !== '' && expireTime === undefined}
          onInput={(event) => setEnds(event.currentTarget.value)}
        />
      </label>
    </ActDialog>
  )
}

function Revoke({ token, done, close }: { token: Token; done: () => void; close: () => void }) {
  const words = t.value.tokens
  const act = async () => {
    await request(`tokens/${encodeURIComponent(token.name)}`, { method: 'DELETE' })
    say(words.revokedName(token.name))
    done()
  }
  return (
    <ActDialog
      title={words.revoke}
      doIt={words.revokeIt}
      undo={t.value.cannotUndo}
      isDangerous
      act={act}
      onClose={close}
    >
      <p>{words.revokeWhat(token.name)}</p>
    </ActDialog>
  )
}
