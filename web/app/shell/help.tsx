import { Dialog } from '../parts/dialog'
import { t } from '../texts'

export function Help({ close }: { close: () => void }) {
  return (
    <Dialog title={t.value.menu.keys} onClose={close} wide>
      <div class="keys">
        {t.value.keys.map(({ title, keys }) => (
          <section key={title}>
            <h3>{title}</h3>
            <dl>
              {keys.map(([key, what]) => (
                <div key={key}>
                  <dt>
                    {key.split(' ').map((one) => (
                      <kbd key={one}>{one}</kbd>
                    ))}
                  </dt>
                  <dd>{what}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  )
}
