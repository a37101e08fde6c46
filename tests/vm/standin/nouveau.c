// SPDX-License-Identifier: GPL-2.0
// Stands in for nouveau: claims the card when udev loads it by the card's alias, and stays, as with a console
// on it.
#include <linux/module.h>
#include <linux/pci.h>

static const struct pci_device_id ids[] = {
	{ PCI_DEVICE(0x10de, PCI_ANY_ID), .class = PCI_BASE_CLASS_DISPLAY << 16, .class_mask = 0xff << 16 },
	{}
};
MODULE_DEVICE_TABLE(pci, ids);

static int modeset = -1;
module_param(modeset, int, 0400);

static int nouveau_probe(struct pci_dev *card, const struct pci_device_id *id)
{
	return 0;
}

static struct pci_driver driver = { .name = "nouveau", .id_table = ids, .probe = nouveau_probe };

static int __init nouveau_init(void)
{
	__module_get(THIS_MODULE);
	return pci_register_driver(&driver);
}

static void __exit nouveau_exit(void)
{
	pci_unregister_driver(&driver);
}

module_init(nouveau_init);
module_exit(nouveau_exit);
MODULE_DESCRIPTION("Stands in for nouveau");
MODULE_LICENSE("GPL");
