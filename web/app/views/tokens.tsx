import { useState } from 'preact/hooks'
import { get, post, request } from '../api/client'
import { isName } from '../api/names'
import type { Page, Role, Token } from '../api/types'
import { now } from '../parts/clock'
import { ActDialog, Dialog } from '../parts/dialog'
import { Icon } from '../parts/icons'
import { useLoad } from '../parts/load'
import { CopyButton, Empty, Failed, say, Skeleton, Time } from '../parts/small'
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
  return (
    <div class="fill">
      <div class="page-head">
        <h1>{words.title}</h1>
        <span class="grow" />
        <button type="button" class="primary" onClick={() => setMaking(true)}>
          <Icon name="plus" /> {words.make}
        </button>
      </div>
      <div class="scroll pad">
        {loaded.error !== undefined && <Failed error={loaded.error} retry={loaded.reload} />}
        {!loaded.value && loaded.isLoading && <Skeleton />}
        {loaded.value && items.length === 0 && <Empty title={words.none} />}
        {items.length > 0 && <Table items={items} revoke={setRevoking} />}
      </div>
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
    </div>
  )
}

function Table({ items, revoke }: { items: Token[]; revoke: (token: Token) => void }) {
  const words = t.value.tokens
  const isOver = (token: Token) =>
    token.revokeTime || (token.expireTime && Date.parse(token.expireTime) < now.value)
  return (
    <div class="table-scroll" tabIndex={0} role="region" aria-label={words.title}>
      <table class="plain-table">
        <thead>
          <tr>
            <th>{words.name}</th>
            <th>{words.role}</th>
            <th>{t.value.facts.created}</th>
            <th>{words.lastUse}</th>
            <th>{words.ends}</th>
            <th>
              <span class="visually-hidden">{words.revoke}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {items.map((token) => (
            <tr key={token.name} class={isOver(token) ? 'over' : ''}>
              <td>
                <b>{token.name}</b>
              </td>
              <td>{t.value.roles[token.role]}</td>
              <td>
                <Time iso={token.createTime} /> <span class="muted">{token.createdBy}</span>
              </td>
              <td>
                <Time iso={token.lastUseTime} />
              </td>
              <td>
                {token.revokeTime ? (
                  <>
                    {words.revoked} <Time iso={token.revokeTime} />
                  </>
                ) : (
                  <Time iso={token.expireTime} />
                )}
              </td>
              <td>
                {!token.revokeTime && (
                  <button type="button" onClick={() => revoke(token)}>
                    {words.revoke}
                  </button>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
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
